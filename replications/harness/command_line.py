"""The verbs of ``python -m replications``: one table."""

import os

# JAX's results on CPU depend on the size of its thread pool, which is set when jax is imported.
# One thread a process, always: a number never depends on how many cores there are.
os.environ["NPROC"] = "1"
# So are inverses and eigenvectors, which JAX leaves to SciPy's LAPACK.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Products of float32 in float32 everywhere: a GPU would round what it multiplies to TF32, 10 bits.
os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import math
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.declared import experiments
from replications.harness.declared.reading import one_line
from replications.harness.declared.spec import SEEDS
from replications.harness.errors import UserError
from replications.harness.store import PRESETS, ROOT, Store


class Argument(NamedTuple):
    """What a verb takes: the words and options of ``argparse.add_argument``."""

    names: tuple[str, ...]
    options: dict[str, Any]


def _take(*names: str, **options: Any) -> Argument:
    return Argument(names, options)


def _seeds(text: str) -> tuple[int, ...]:
    """Seeds as ranges and single ones between commas, in order. No more of them than a cell may have: each
    is a number in memory."""
    found: set[int] = set()
    for part in text.split(","):
        span = re.fullmatch(r"([0-9]{1,10})(?::([0-9]{1,10}))?", part)
        seeds = range(int(span[1]), int(span[2] or int(span[1]) + 1)) if span else range(0)
        if not seeds or seeds[-1] >= 2**32 or len(found) + len(seeds) > SEEDS:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no range of seeds; an example: 0:10, or 0:3,7"
            )
        found.update(seeds)
    return tuple(sorted(found))


def _positive(text: str) -> int:
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")


def _seconds(text: str) -> float:
    try:
        if 0 <= (seconds := float(text)) < math.inf:
            return seconds
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; an example: 60")


PAPER = _take("paper", help="name of a paper, for example lillicrap2016")
PAPERS = _take("papers", nargs="*", help="names of papers (default: all)")
EXPERIMENT = _take("experiment", help="name of one of its experiments")
SOME_PAPER = _take("paper", nargs="?", help="name of a paper (default: all)")
SOME_EXPERIMENT = _take(
    "experiment", nargs="?", help="name of one of its experiments (default: all)"
)
SOME_ARM = _take("arm", nargs="?", help="the rule or variant (default: all)")
FIGURE = _take("figure", help="name of one of its figures")
NAME = _take("name", help=", ".join(DATASETS))
OUTPUT = _take("--output", type=Path, required=True, help="the file to write")
PRESET = _take("--preset", default="quick", choices=PRESETS, help="quick or full (default: quick)")
RESULTS = _take(
    "--results", type=Path, default=Path("results"), help="folder of all results (default: results)"
)
DATA = _take(
    "--datasets", type=Path, help="folder of the data sets' .npz files (default: RESULTS/datasets)"
)
ACCEPTED = _take(
    "--accepted",
    action="store_true",
    help="of the accepted results at full scale, as they are kept",
)
FORMATS = _take(
    "--formats",
    nargs="+",
    default=["pdf", "svg", "png"],
    choices=("pdf", "svg", "png"),
    help="file formats (default: all)",
)
ONLY = _take("--seeds", type=_seeds, help="only these, as first:last+1, for example 0:10, or 0:3,7")
BATCHING = _take(
    "--batching",
    choices=("map", "vmap"),
    default="map",
    help="seeds one after the other, or all at once (for a GPU)",
)
CHECKPOINTS = _take(
    "--checkpoint-seconds",
    type=_seconds,
    default=60,
    help="time between checkpoints (default: 60)",
)
PASSES = _take(
    "--passes",
    type=_positive,
    default=3,
    help="passes through the data, of each seed (default: 3); as many as a run has verify it whole",
)
SAMPLE = _take("--sample", type=_positive, help="only so many of the seeds, drawn at random")
YES = _take("--yes", action="store_true", help="do not ask")
KEEP = _take(
    "--keep", action="store_true", help="also beside the accepted results, for READMEs to read"
)
ARCHIVE = _take("archive", type=Path, help="the .zip that `artifact` wrote")
NO_VERIFY = _take("--no-verify", action="store_true", help="train nothing, only check the files")
CHECK = _take("--check", action="store_true", help="only say whether they are there")


class Verb(NamedTuple):
    """A verb: what it does, the function that does it, what it takes; whether it computes numbers, for
    which the surroundings are sealed (training.sealing)."""

    text: str
    run: Callable[[argparse.Namespace], int | None]
    takes: tuple[Argument, ...]
    computes: bool = False


def _list(options: argparse.Namespace) -> None:
    for paper in experiments.papers():
        for cell in experiments.cells(paper, options.preset):
            print(f"{paper} {cell.experiment} {cell.arm} seeds={cell.spec.seeds}")


def _plan(options: argparse.Namespace) -> None:
    costs = _module("training.costs")
    for line in costs.report(options.papers or experiments.papers(), options.preset):
        print(line)


def _dataset(options: argparse.Namespace) -> None:
    _module("training.datasets").write(options.name, options.output)


def _simulate(options: argparse.Namespace) -> None:
    paper, experiment, arm, preset = options.paper, options.experiment, options.arm, options.preset
    cells = [experiments.cell(paper, experiment, arm, preset)] if arm else []
    simulate, store = _module("training.simulate").simulate, _store(options)
    for cell in cells or experiments.cells_of(paper, experiment, preset):
        how = (options.seeds, options.batching, options.checkpoint_seconds)
        print(simulate(cell, store, *how), flush=True)


def _fingerprint(options: argparse.Namespace) -> None:
    paper, store = options.paper, _store(options)
    write = _module("training.fingerprints").write_fingerprints
    asked = [options.experiment] if options.experiment else []
    for experiment in asked or _module("judging.manifests").unproven(paper, store):
        write(paper, experiment, store)


def _tabulate(options: argparse.Namespace) -> None:
    tabulate = _module("judging.tabulate").tabulate
    tabulate(options.paper, options.experiment, options.preset, _store(options))


def _embed(options: argparse.Namespace) -> None:
    embed = _module("judging.embedding").embed
    embed(options.paper, options.experiment, options.preset, _store(options))


def _arrays(options: argparse.Namespace) -> None:
    arrays = _module("judging.arrays").arrays
    arrays(options.paper, options.experiment, options.preset, _store(options))


def _plot(options: argparse.Namespace) -> None:
    plot = _module("showing.plotting").plot
    store, figure = _store(options), options.figure
    plot(options.paper, figure, options.preset, store, options.formats, options.accepted)


def _summarize(options: argparse.Namespace) -> None:
    write = _module("showing.pages").write_summary
    write(options.paper, options.preset, _store(options), options.accepted)


def _judge(options: argparse.Namespace) -> None:
    judge = _module("judging.verdicts").judge
    paper, preset, store = options.paper, options.preset, _store(options)
    judged = judge(paper, preset, store, options.accepted)
    if options.keep:
        _module("judging.accepted_verdicts").keep_judged(judged, paper, preset, store)


def _verdicts(options: argparse.Namespace) -> None:
    papers = options.papers or experiments.papers()
    _module("showing.pages").write_verdicts(papers, options.preset, _store(options))


def _overview(options: argparse.Namespace) -> None:
    store = _store(options)
    _module("showing.plotting").plot_overview(store, options.formats)


def _scoreboard(options: argparse.Namespace) -> None:
    _module("showing.pages").write_scoreboard(_store(options))


def _times(options: argparse.Namespace) -> None:
    _module("showing.times").write_times(_store(options))


def _accept(options: argparse.Namespace) -> int:
    accept = _module("judging.acceptance").accept
    return int(accept(options.paper, options.preset, _store(options), options.yes))


def _verify(options: argparse.Namespace) -> int:
    verify = _module("judging.verify")
    asked = verify.accepted_seeds(options.paper, options.experiment, options.arm)
    return int(verify.verify(asked, _store(options), options.passes, options.sample))


def _new(options: argparse.Namespace) -> None:
    for file in _module("new_paper").write_paper(options.paper, root=ROOT):
        print(file.relative_to(ROOT))


def _artifact(options: argparse.Namespace) -> None:
    count = _module("artifact").write_artifact(options.output, _store(options))
    print(f"{options.output}: {count} files")


def _check_artifact(options: argparse.Namespace) -> int:
    asked = [word for word in (options.paper, options.experiment, options.arm) if word]
    asked += ["--passes", str(options.passes)]
    asked += ["--sample", str(options.sample)] if options.sample else []
    # Those of the caller: the archive is unpacked where nobody could put any.
    asked += ["--datasets", str((options.datasets or Store().results / "datasets").absolute())]
    check = _module("artifact").check_artifact
    return int(check(options.archive, asked, not options.no_verify))


def _schemas(options: argparse.Namespace) -> None:
    _module("declared.schemas").write_schemas(options.output)


def _readme(options: argparse.Namespace) -> int:
    readme, store = _module("showing.readme"), _store(options)
    if not options.check:
        readme.take_pictures(store)
    stale = readme.write_pages(store, options.check)
    if not readme.write(Path("README.md"), options.check):
        stale = ["README.md", *stale]
    if options.check and stale:
        print(f"not as accepted: {', '.join(stale)}; run `python -m replications readme`")
    return int(options.check and bool(stale))


VERBS: dict[str, Verb] = {
    "list": Verb("list papers, experiments and arms, with their seeds", _list, (PRESET,)),
    "new": Verb("write a new paper from a template, which runs", _new, (PAPER,)),
    "plan": Verb(
        "say what cells will cost: updates, operations, time here", _plan, (PAPERS, PRESET), True
    ),
    "dataset": Verb("prepare a data set: one .npz and its sha256", _dataset, (NAME, OUTPUT)),
    "simulate": Verb(
        "run one cell, or all of an experiment: train all seeds and measure",
        _simulate,
        (PAPER, EXPERIMENT, SOME_ARM, PRESET, RESULTS, DATA, ONLY, BATCHING, CHECKPOINTS),
        computes=True,
    ),
    "fingerprint": Verb(
        "run the first updates, on noise, of accepted cells (default: of those of other code)",
        _fingerprint,
        (PAPER, SOME_EXPERIMENT, RESULTS),
        computes=True,
    ),
    "tabulate": Verb(
        "write one tidy table of an experiment's cells",
        _tabulate,
        (PAPER, EXPERIMENT, PRESET, RESULTS),
    ),
    "embed": Verb(
        "place an experiment's hidden features in the plane (t-SNE)",
        _embed,
        (PAPER, EXPERIMENT, PRESET, RESULTS, DATA),
    ),
    "arrays": Verb(
        "write the arrays that a picture shows: spikes, receptive fields",
        _arrays,
        (PAPER, EXPERIMENT, PRESET, RESULTS),
    ),
    "plot": Verb(
        "draw one figure from the tables",
        _plot,
        (PAPER, FIGURE, PRESET, ACCEPTED, RESULTS, FORMATS),
    ),
    "summarize": Verb(
        "lay out where a paper's experiments end", _summarize, (PAPER, PRESET, ACCEPTED, RESULTS)
    ),
    "judge": Verb(
        "judge a paper's claims by the tables", _judge, (PAPER, PRESET, ACCEPTED, RESULTS, KEEP)
    ),
    "verdicts": Verb(
        "gather the papers' verdicts in one table", _verdicts, (PAPERS, PRESET, RESULTS)
    ),
    "overview": Verb(
        "draw the picture of all papers, of what was accepted", _overview, (RESULTS, FORMATS)
    ),
    "scoreboard": Verb("lay out the score of all papers under it", _scoreboard, (RESULTS,)),
    "times": Verb("lay out where the time of a run went", _times, (RESULTS,)),
    "accept": Verb(
        "show what moved, then renew a paper's accepted results",
        _accept,
        (PAPER, PRESET, RESULTS, DATA, YES),
        computes=True,
    ),
    "verify": Verb(
        "train the first passes of accepted seeds again, and compare digit by digit",
        _verify,
        (SOME_PAPER, SOME_EXPERIMENT, SOME_ARM, PASSES, SAMPLE, RESULTS, DATA),
        computes=True,
    ),
    "artifact": Verb(
        "write one archive of sources, accepted results, figures, claims, report",
        _artifact,
        (OUTPUT, RESULTS),
    ),
    "check-artifact": Verb(
        "check such an archive, and run `verify` by the sources in it",
        _check_artifact,
        (ARCHIVE, SOME_PAPER, SOME_EXPERIMENT, SOME_ARM, PASSES, SAMPLE, DATA, NO_VERIFY),
    ),
    "schemas": Verb("write the JSON schemas of the YAML files, for editors", _schemas, (OUTPUT,)),
    "readme": Verb("write the accepted results into the READMEs", _readme, (RESULTS, CHECK)),
}


def main(words: list[str] | None = None) -> int:
    """Run one verb; the exit status: 0 done, 1 a check failed, 2 bad input."""
    options = _parse(words)
    verb: Verb = options.verb
    try:
        if verb.computes:
            _module("training.sealing").seal()
        return int(verb.run(options) or 0)
    except (UserError, OSError) as error:
        print(f"error: {one_line(error, 1900)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


def _parse(words: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(words)
    many = {one.names[-1].lstrip("-") for one in options.verb.takes if "nargs" in one.options}
    many -= {one.names[-1] for one in options.verb.takes if one.options.get("nargs") == "?"}
    for name, value in vars(options).items():
        # Python 3.11 makes a list of a word that stands between two of them.
        if isinstance(value, list) and name not in many:
            parser.error(f"{name}: a `--` too many")
    return options


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {one_line(message, 1000)}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m replications",
        description="Replicate the papers: simulate, tabulate, embed, plot, judge, accept. "
        "Snakemake runs these verbs in order; each also works alone.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, verb in VERBS.items():
        text = verb.text[0].upper() + verb.text[1:] + "."
        made = verbs.add_parser(name, help=verb.text, description=text)
        made.set_defaults(verb=verb)
        for argument in verb.takes:
            made.add_argument(*argument.names, **argument.options)
    return parser


def _store(options: argparse.Namespace) -> Store:
    return Store(options.results, data=getattr(options, "datasets", None))


def _module(name: str) -> Any:
    """A module of the harness, imported when a verb needs it: jax and pandas take a second."""
    return import_module(f"replications.harness.{name}")
