"""What the rules share. All helpers stand here; nothing here imports jax, matplotlib or pandas."""

import sys
from pathlib import Path

import figures
from replications import config as checked_config
from replications import datasets, plotting, provenance, spec
from replications.errors import UserError

try:
    CONFIG = checked_config.read(config)
    FIGURES = {paper: figures.of(paper) for paper in CONFIG.papers}
except UserError as error:
    # One line, exit status 1 and no traceback, which Snakemake would add to an exception.
    sys.exit(f"error: {error}")

PAPERS, PRESET, FORMATS = CONFIG.papers, CONFIG.preset, CONFIG.figure_formats
# Beside a quick run stands what was accepted at full scale.
SHOWN = [paper for paper in PAPERS if PRESET == "quick" and spec.accepted(paper)]
PRESETS = [PRESET, spec.ACCEPTED] if SHOWN else [PRESET]

RUN = "results/{preset}/{paper}/runs/{experiment}/{arm}"
TABLE = "results/{preset}/{paper}/tables/{experiment}.csv"
EMBEDDING = "results/{preset}/{paper}/tables/{experiment}.embedding.csv"
FIGURE = "results/{preset}/{paper}/figures/{figure}"
LOG = "results/{preset}/logs"
BENCHMARK = "results/{preset}/benchmarks"

# `logged LOG COMMAND`: what a command says goes to its log; where it fails, the end of it to the console.
shell.prefix(
    'logged() ( log=$1; shift; "$@" > "$log" 2>&1 || ( tail -n 20 "$log" >&2; exit 1 ) ); '
)


# Seconds each: a cluster would take longer to start them.
localrules:
    all,
    check,
    check_accepted,
    judge,
    restore,
    rulegraph,
    summary_page,
    tabulate,
    verdicts,
    verdicts_page,


wildcard_constraints:
    preset="|".join([*spec.PRESETS, spec.ACCEPTED]),
    paper="|".join(PAPERS),
    experiment="[^/.]+",
    table=r"[^/.]+(\.embedding)?",
    arm="[^/]+",
    figure="[^/]+",
    dataset="|".join(datasets.SOURCES),


def everything(paper):
    """All that is made for one paper."""
    return products(paper, PRESET) + (products(paper, spec.ACCEPTED) if paper in SHOWN else [])


def products(paper, preset):
    """What is made for one paper under a preset."""
    return [
        *tables(paper, preset),
        *(
            f"{FIGURE}.{suffix}".format(preset=preset, paper=paper, figure=figure)
            for figure in plotting.drawable(paper, preset)
            for suffix in FORMATS
        ),
        f"results/{preset}/{paper}/tables/summary.html",
        f"results/{preset}/{paper}/claims.json",
        f"results/{preset}/{paper}/regression.txt",
    ]


def tables(paper, preset):
    return [
        TABLE.format(preset=preset, paper=paper, experiment=experiment)
        for experiment in spec.experiments(paper, preset)
    ]


def cell_of(wildcards):
    return spec.cell(wildcards.paper, wildcards.experiment, wildcards.arm, wildcards.preset)


def cells_of_experiment(wildcards):
    return spec.cells_of(wildcards.paper, wildcards.experiment, wildcards.preset)


def datasets_of(cells):
    """The data sets of cells that have one, and the sha256 that each is checked against."""
    names = dict.fromkeys(cell.dataset for cell in cells if cell.dataset)
    return [f"results/datasets/{name}.npz{suffix}" for name in names for suffix in ("", ".sha256")]


def dataset_of(wildcards):
    return datasets_of([cell_of(wildcards)])


def datasets_of_experiment(wildcards):
    return datasets_of(cells_of_experiment(wildcards))


def runs(cells):
    """Numbers and manifests."""
    return [
        f"{RUN}.{suffix}".format(**cell._asdict()) for cell in cells for suffix in ("npz", "json")
    ]


def runs_of_experiment(wildcards):
    return runs(cells_of_experiment(wildcards))


def runs_of_paper(wildcards):
    return runs(spec.cells(wildcards.paper, wildcards.preset))


def tables_of_paper(wildcards):
    return tables(wildcards.paper, wildcards.preset)


def tables_of_figure(wildcards):
    known = spec.experiments(wildcards.paper, wildcards.preset)
    return [
        TABLE.format(preset=wildcards.preset, paper=wildcards.paper, experiment=table)
        for table in FIGURES[wildcards.paper][wildcards.figure].needs
        if table.partition(".")[0] in known
    ]


def papers_of(wildcards):
    """The papers that have verdicts under a preset."""
    return SHOWN if wildcards.preset == spec.ACCEPTED else PAPERS


def claims_of_papers(wildcards):
    return expand(
        "results/{preset}/{paper}/claims.json", preset=wildcards.preset, paper=papers_of(wildcards)
    )


def sources(pattern):
    """Files of this checkout as input, which no storage provider holds."""
    return [local(str(path)) for path in sorted(Path().glob(pattern)) if path.is_file()]


def published_numbers(wildcards):
    """A paper's published numbers, where it has any."""
    return sources(f"replications/{wildcards.paper}/published.yaml")


def baselines(wildcards):
    """The accepted results: inputs always, never the output of a rule."""
    return sources(f"replications/{wildcards.paper}/baselines/{wildcards.preset}/**/*")


def accepted_baselines(wildcards):
    return sources(f"replications/{wildcards.paper}/baselines/paper/*")


def kept_table(wildcards):
    """Where an accepted table comes from: what was kept, or quick's own where that is the same."""
    paper, (experiment, _, kind) = wildcards.paper, wildcards.table.partition(".")
    if spec.also_quick(paper, experiment):
        return TABLE.format(preset="quick", paper=paper, experiment=wildcards.table)
    return sources(f"replications/{paper}/baselines/paper/{experiment}.{kind or 'runs'}.csv")


def fingerprints_of_paper(wildcards):
    return expand(
        "results/accepted/{paper}/fingerprints/{experiment}.csv",
        paper=wildcards.paper,
        experiment=spec.kept(wildcards.paper),
    )


def caption(wildcards):
    return FIGURES[wildcards.paper][wildcards.figure].caption


def results_folder(wildcards, output):
    """The folder of all results, wherever a storage provider keeps it."""
    preset = dict(wildcards).get("preset", spec.ACCEPTED)
    return str(output[0]).split(f"/{preset}/")[0]


def batching(wildcards, resources):
    """How the seeds of a cell share a device: one after the other, or at once on an accelerator.
    What was computed either way stays valid (Snakemake does not count params made from resources).
    """
    return "vmap" if resources.get("gpu") else "map"


def minutes(wildcards):
    """A cluster's time limit. Long cells go on from their checkpoint when they are started again."""
    return {"quick": 30, "paper": 24 * 60}[wildcards.preset]


# Params: a job runs again when one of these changes, and only then. Comments and docstrings do not count.


def content(wildcards):
    """What a data set must be, to the last bit: new code for the same data trains nothing again."""
    return list(map(str, datasets.SOURCES[wildcards.dataset]))


def spec_digest(wildcards):
    cell = cell_of(wildcards)
    return f"{cell.digest} of {cell.spec.seeds} seeds"


def source_digest(wildcards):
    return provenance.source_digest(cell_of(wildcards))


def digests_of_accepted(wildcards):
    """What the cells of an accepted experiment are, and what they run."""
    cells = spec.cells_of(wildcards.paper, wildcards.experiment, "paper")
    return [text for cell in cells for text in (cell.digest, provenance.source_digest(cell))]


def code(*names):
    """What the given sources do, for the steps after the simulation."""

    def digest(wildcards):
        paths = [provenance.ROOT / name.format(**dict(wildcards)) for name in names]
        return [provenance.code_digest(path) for path in paths]

    return digest
