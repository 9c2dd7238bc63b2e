"""What the rules share. All helpers stand here; nothing here imports jax, matplotlib or pandas."""

import fcntl
import os
import sys
from pathlib import Path

import figures
from snakemake.logging import logger

from replications.harness import sources
from replications.harness.catalogue.datasets import DATASETS
from replications.harness.declared import config as checked_config
from replications.harness.declared import experiments
from replications.harness.declared.reading import read_yaml
from replications.harness.errors import UserError
from replications.harness.judging import manifests
from replications.harness.showing import closing, plotting, progress
from replications.harness.store import PRESETS, Store
from replications.harness.training import provenance

try:
    read_yaml(Path("workflow/config.yaml"))  # Snakemake takes a key twice, and the last one
    CONFIG = checked_config.read(config)
    FIGURES = {paper: figures.of(paper) for paper in CONFIG.papers}
    for paper in CONFIG.papers:
        plotting.check_figures(paper)
except UserError as error:
    # One line, exit status 1 and no traceback, which Snakemake would add to an exception.
    sys.exit(f"error: {error}")


def hold_this_checkout():
    """Hold a lock that goes with this process, however it ends. Where nobody held it, Snakemake's own locks
    are those of a run that was killed, and are taken away: nothing of it is half-written."""
    folder = Path(".snakemake")
    folder.mkdir(exist_ok=True)
    handle = os.open(folder / "held", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if left := list((folder / "locks").glob("*.lock")):
            print("The last run was killed; its locks are taken away.", file=sys.stderr)
        for file in left:
            file.unlink()
    except BlockingIOError:
        pass  # another run is at work: Snakemake will say so
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


if workflow.is_main_process:
    HELD = hold_this_checkout()

PAPERS, PRESET, FORMATS = CONFIG.papers, CONFIG.preset, CONFIG.figure_formats
# Beside a quick run stand the accepted results of full scale, as they are kept.
ACCEPTED = [paper for paper in PAPERS if PRESET == "quick" and experiments.accepted(paper)]
SHOWN = [PRESET, "full"] if ACCEPTED else [PRESET]

# Patterns: the store's addresses with the wildcards' names in them.
# Of paths relative to this checkout: what was computed stays valid where it is moved.
STORE = Store(papers=Path("replications"))
P, X, A = "{paper}", "{experiment}", "{arm}"
RUN = STORE.run("{preset}", P, X, A)

# `logged LOG COMMAND`: what a command says goes to its log; where it fails, the end of it to the console.
shell.prefix(
    'logged() ( log=$1; shift; "$@" > "$log" 2>&1 || ( tail -n 20 "$log" >&2; exit 1 ) ); '
)


def without_long_lists(record):
    """A job's message says what it is for: its reason need not name a hundred files on the console."""
    reason = str(getattr(record, "reason", ""))
    if len(reason) > 160:
        record.reason = f"{reason[:160].rsplit(',', 1)[0]}, ..."
    return True


for handler in logger.handlers:
    handler.addFilter(without_long_lists)

PROGRESS = progress.Progress()


def with_what_is_left(record):
    """Beside Snakemake's count of steps, which take a second or a minute: experiments, and minutes left."""
    if line := PROGRESS.told(record):
        print(line, file=sys.stderr, flush=True)
    return True


if workflow.is_main_process:
    logger.addFilter(with_what_is_left)


# Seconds each: a cluster would take longer to start them.
localrules:
    all,
    arrays,
    artifact,
    check,
    judge,
    overview,
    summarize,
    tabulate,
    verdicts,
    scoreboard,
    times,


wildcard_constraints:
    preset="|".join(PRESETS),
    paper="|".join(PAPERS),
    experiment="[^/.]+",
    arm="[^/]+",
    figure="[^/]+",
    dataset="|".join(DATASETS),


def kept(paper, preset):
    """Whether a preset's numbers of a paper are the accepted ones, which this run does not compute."""
    return preset == "full" and paper in ACCEPTED


def everything(paper):
    """All that is made for one paper."""
    return products(paper, PRESET) + (products(paper, "full") if paper in ACCEPTED else [])


def of_all_papers():
    """All that a run makes, but for the page of what it took."""
    pages = [STORE.all_verdicts(preset, "html") for preset in SHOWN]
    return [
        *(file for paper in PAPERS for file in everything(paper)),
        *pages,
        STORE.scoreboard("html"),
    ]


def products(paper, preset):
    """What is made for one paper under a preset."""
    drawable = plotting.drawable(paper, preset, kept(paper, preset))
    return [
        *tables(paper, preset),
        *(STORE.figure(preset, paper, figure, suffix) for figure in drawable for suffix in FORMATS),
        STORE.summary(preset, paper),
        STORE.verdicts(preset, paper),
        STORE.check(preset, paper),
    ]


def tables(paper, preset, names=None):
    """The tables of a paper's experiments. Of accepted results those that quick runs as they are."""
    if kept(paper, preset):
        names = experiments.accepted(paper) if names is None else names
        same = [n for n in names if n not in experiments.kept(paper)]
        return [STORE.table("quick", paper, name) for name in same]
    names = experiments.names(paper, preset) if names is None else names
    return [STORE.table(preset, paper, name) for name in names]


def accepted_files(wildcards):
    """The accepted results: inputs always, never the output of a rule."""
    return sources_of(STORE.accepted(wildcards.paper, wildcards.preset), "*")


def numbers(wildcards):
    """What a paper's verdicts, pictures and pages under a preset are made from."""
    paper, preset = wildcards.paper, wildcards.preset
    return tables(paper, preset) + (records(paper) if kept(paper, preset) else [])


def records(paper, names=("*",)):
    """The accepted records of a paper's experiments at full scale. No more files than are read: Snakemake
    asks for the size of each input at every step."""
    folder = STORE.accepted(paper, "full")
    return [file for name in names for file in sources_of(folder, f"{name}.runs.csv")]


def numbers_of_figure(wildcards):
    paper, preset = wildcards.paper, wildcards.preset
    needs = FIGURES[paper][wildcards.figure].needs
    if kept(paper, preset):
        wanted = {table.partition(".")[0] for table in needs}
        known = [name for name in experiments.accepted(paper) if name in wanted]
        if FIGURES[paper][wildcards.figure].markdown:
            return tables(paper, preset, known) + records(paper)
        # An embedding or an array is a table of its own.
        folder, apart = STORE.accepted(paper, preset), [f"{t}.csv" for t in needs if "." in t]
        others = [file for name in apart for file in sources_of(folder, name)]
        return tables(paper, preset, known) + records(paper, known) + others
    known = experiments.names(paper, preset)
    return tables(paper, preset, [t for t in needs if t.partition(".")[0] in known])


def declared(*kinds):
    """What people write on a paper, of these kinds of files."""

    def files(wildcards):
        folder = STORE.papers / wildcards.paper
        return [file for kind in kinds for file in sources_of(folder, f"{kind}.yaml")]

    return files


def declared_of_figure(wildcards):
    """Published numbers; and in the picture of a table, when ours agree with them."""
    table = FIGURES[wildcards.paper][wildcards.figure].markdown
    return declared(*(["claims"] if table else []), "published")(wildcards)


def shown(wildcards):
    """README.md and the pictures in it, which the check holds to the accepted numbers."""
    folder = STORE.papers / wildcards.paper
    return [local("README.md"), *sources_of(folder, f"*.{wildcards.preset}.png")]


def sources_of(folder, pattern):
    """Files of this checkout as input, which no storage provider holds."""
    return [local(str(path)) for path in sorted(Path(folder).glob(pattern)) if path.is_file()]


def cell_of(wildcards):
    return experiments.cell(wildcards.paper, wildcards.experiment, wildcards.arm, wildcards.preset)


def cells_of_experiment(wildcards):
    return experiments.cells_of(wildcards.paper, wildcards.experiment, wildcards.preset)


def datasets_of(cells):
    """The data sets of cells that have one, and the sha256 that each is checked against."""
    names = dict.fromkeys(cell.dataset for cell in cells if cell.dataset)
    return [f"{STORE.dataset(name)}{suffix}" for name in names for suffix in ("", ".sha256")]


def dataset_of(wildcards):
    return datasets_of([cell_of(wildcards)])


def datasets_of_experiment(wildcards):
    return datasets_of(cells_of_experiment(wildcards))


def runs_of_experiment(wildcards):
    if wildcards.preset == "quick":
        return STORE.runs("quick", wildcards.paper, wildcards.experiment)
    return [
        STORE.run(c.preset, c.paper, c.experiment, c.arm) for c in cells_of_experiment(wildcards)
    ]


def verdicts_of_papers(wildcards):
    """The papers that have verdicts under a preset."""
    papers = PAPERS if wildcards.preset == PRESET else ACCEPTED
    return [STORE.verdicts(wildcards.preset, paper) for paper in papers]


def pictures_of_papers(wildcards):
    """The pictures that stand beside the claims of a preset."""
    preset = wildcards.preset
    suffix = "png" if "png" in FORMATS else FORMATS[0]
    papers = papers_of(wildcards)
    beside = [
        (preset, paper, name)
        for paper in papers
        for name in plotting.drawable(paper, preset, kept(paper, preset))
    ]
    # What quick runs as full scale does is drawn by quick alone.
    beside += [
        ("quick", paper, name)
        for paper in papers
        if kept(paper, preset)
        for name in plotting.drawable(paper, "quick")
        if plotting.of_quick(paper, FIGURES[paper][name], STORE)
    ]
    return [
        STORE.figure(where, paper, name, suffix)
        for where, paper, name in beside
        if FIGURES[paper][name].claims
    ]


def accepted_of_all(wildcards):
    """What the scoreboard and the picture of all papers are made from."""
    folders = [STORE.accepted(paper, preset) for paper in PAPERS for preset in PRESETS]
    return [file for folder in folders for file in sources_of(folder, "*")]


def declared_of_all(wildcards):
    return [file for paper in PAPERS for file in sources_of(STORE.papers / paper, "*.yaml")]


def labels_of_figure(wildcards):
    """For the report: a figure beside the claims that it is the picture of."""
    claims = FIGURES[wildcards.paper][wildcards.figure].claims
    return {"figure": wildcards.figure, "claims": ", ".join(claims)}


def papers_of(wildcards):
    return PAPERS if wildcards.preset == PRESET else ACCEPTED


def fingerprints_of_paper(wildcards):
    """Of accepted results, what today's code does in its first updates, where it is other code than that
    under which they were last seen to stand."""
    paper, preset = wildcards.paper, wildcards.preset
    wanted = kept(paper, preset) and manifests.unproven(paper)
    return STORE.all_fingerprints(preset, paper) if wanted else []


def of_accepted(wildcards):
    """The option by which a verb reads the accepted results."""
    return "--accepted" if kept(wildcards.paper, wildcards.preset) else ""


def caption(wildcards):
    return FIGURES[wildcards.paper][wildcards.figure].caption


def results_folder(wildcards, output):
    """The folder of all results, wherever a storage provider keeps it."""
    preset = dict(wildcards).get("preset", "full")
    return str(output[0]).split(f"/{preset}/")[0]


def batching(wildcards, resources):
    """How the seeds of a cell share a device: one after the other, or at once on an accelerator, where
    those of convolutional nets cost more at once. What was computed either way stays valid (Snakemake
    does not count params made from resources)."""
    cells = [cell_of(wildcards)] if "arm" in dict(wildcards) else cells_of_experiment(wildcards)
    large = any(cell.spec.network.convolutions for cell in cells)
    return "vmap" if resources.get("gpu") and not large else "map"


# Params: a job runs again when one of these changes, and only then. Comments and docstrings do not count.


def content(wildcards):
    """What a data set must be, to the last bit: new code for the same data trains nothing again."""
    return list(map(str, DATASETS[wildcards.dataset]))


def spec_digest(wildcards):
    cell = cell_of(wildcards)
    return f"{cell.digest} of {cell.spec.seeds} seeds"


def source_digest(wildcards):
    return provenance.source_digest(cell_of(wildcards))


def specs_of_experiment(wildcards):
    return [f"{c.key}: {c.digest} of {c.spec.seeds} seeds" for c in cells_of_experiment(wildcards)]


def sources_of_experiment(wildcards):
    return [provenance.source_digest(cell) for cell in cells_of_experiment(wildcards)]


def as_published(wildcards):
    """The experiments that both presets run alike: of quick, only these are compared with the paper."""
    paper = wildcards.paper
    known = experiments.load(paper).experiments
    return [name for name in known if experiments.same_in_both(paper, name)]


def digests_of_accepted(wildcards):
    """What the cells are whose fingerprints are taken, and what they run."""
    names = manifests.unproven(wildcards.paper)
    cells = [c for name in names for c in experiments.cells_of(wildcards.paper, name, "full")]
    return [text for cell in cells for text in (cell.digest, provenance.source_digest(cell))]


def code(*modules):
    """What the given modules do, with all that they import: for the steps after the simulation."""

    def digest(wildcards):
        named = [module.format(**dict(wildcards)) for module in modules]
        return sources.digest(sources.closure(named))

    return digest
