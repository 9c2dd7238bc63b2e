"""The command line of the harness: one verb per step, each usable without Snakemake."""

import os

# JAX's results on CPU depend on the size of its thread pool, which is set when jax is imported.
# One thread a process, always: a number never depends on how many cores there are.
os.environ["NPROC"] = "1"
# Products of float32 in float32 everywhere: a GPU would round what it multiplies to TF32, 10 bits.
os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import sys
from pathlib import Path

from replications import spec
from replications.errors import UserError


def main(words: list[str] | None = None) -> int:
    """Run one verb; the exit status: 0 done, 1 a check failed, 2 bad input."""
    options = _parser().parse_args(words)
    try:
        return int(options.run(options) or 0)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m replications",
        description="Replicate the papers: simulate, tabulate, embed, plot, judge, check. "
        "Snakemake runs these verbs in order; each also works alone.",
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run, text: str, *arguments: str) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
        made = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run)
        for argument in arguments:
            made.add_argument(argument, help=_MEANING[argument])
        return made

    made = verb("list", _list, "list papers, experiments and arms, with their seeds")
    _preset(made)
    made = verb("plan", _plan, "say what cells will cost: updates, operations, time here")
    made.add_argument("papers", nargs="*", help="names of papers (default: all)")
    _preset(made)
    made = verb("dataset", _dataset, "prepare a data set: one .npz and its sha256", "name")
    made.add_argument("--output", type=Path, required=True, help="the .npz to write")
    made = verb("simulate", _simulate, "run one cell: train all its seeds and measure",
                "paper", "experiment", "arm")  # fmt: skip
    _common(made)
    made.add_argument("--seeds", type=_range, help="only these, as first:last+1, for example 0:10")
    _datasets(made)
    made.add_argument("--batching", choices=("map", "vmap"), default="map",
                      help="seeds one after the other, or all at once (for a GPU)")  # fmt: skip
    made.add_argument("--checkpoint-seconds", type=float, default=60,
                      help="time between checkpoints (default: 60)")  # fmt: skip
    made = verb("restore", _restore, "write an accepted table at full scale",
                "paper", "table")  # fmt: skip
    _results(made)
    made = verb("fingerprint", _fingerprint, "run the first updates of accepted cells, on noise",
                "paper", "experiment")  # fmt: skip
    _results(made)
    made = verb("tabulate", _tabulate, "write one tidy table of an experiment's cells",
                "paper", "experiment")  # fmt: skip
    _common(made)
    made = verb("embed", _embed, "place an experiment's hidden features in the plane (t-SNE)",
                "paper", "experiment")  # fmt: skip
    _common(made)
    _datasets(made)
    made = verb("plot", _plot, "draw one figure from the tables", "paper", "figure")
    _shown(made)
    made.add_argument("--formats", nargs="+", default=["pdf", "svg", "png"],
                      choices=("pdf", "svg", "png"), help="file formats (default: all)")  # fmt: skip
    made = verb("judge", _judge, "judge a paper's claims by the tables", "paper")
    _shown(made)
    made = verb("verdicts", _verdicts, "gather the papers' verdicts in one table")
    made.add_argument("papers", nargs="+", help="names of papers")
    _shown(made)
    made = verb("check", _check, "hold the numbers and verdicts against the baselines", "paper")
    _shown(made)
    made = verb("accept", _accept, "show what moved, then renew a paper's baselines", "paper")
    _common(made)
    made.add_argument("--yes", action="store_true", help="do not ask")
    made = verb("readme", _readme, "write the accepted results into README.md")
    _results(made)
    made.add_argument("--check", action="store_true", help="only say whether they are there")
    return parser


_MEANING = {
    "paper": "name of a paper, for example lillicrap2016",
    "experiment": "name of one of its experiments",
    "table": "name of an experiment or, for its hidden features, EXPERIMENT.embedding",
    "arm": "the rule or variant: see `list`",
    "figure": "name of one of its figures",
    "name": "mnist5k, mnist, cifar10 or cifar100",
}


def _preset(parser: argparse.ArgumentParser, *more: str) -> None:
    allowed = (*spec.PRESETS, *more)
    parser.add_argument("--preset", default="quick", choices=allowed,
                        help=" or ".join(allowed) + " (default: quick)")  # fmt: skip


def _common(parser: argparse.ArgumentParser) -> None:
    _preset(parser)
    _results(parser)


def _shown(parser: argparse.ArgumentParser) -> None:
    """Of verbs that only read tables: those of accepted results as well."""
    _preset(parser, spec.ACCEPTED)
    _results(parser)


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"),
                        help="folder of all results (default: results)")  # fmt: skip


def _datasets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--datasets", type=Path, help="folder of the data sets' .npz files "
                        "(default: RESULTS/datasets)")  # fmt: skip


def _range(text: str) -> range:
    first, colon, end = text.partition(":")
    if first.isdigit() and (end.isdigit() if colon else True):
        seeds = range(int(first), int(end) if colon else int(first) + 1)
        if seeds and seeds[-1] < 2**32:
            return seeds
    raise argparse.ArgumentTypeError(f"{text!r} is no range of seeds; an example: 0:10")


def _list(options: argparse.Namespace) -> None:
    for paper in spec.papers():
        for cell in spec.cells(paper, options.preset):
            print(f"{paper} {cell.experiment} {cell.arm} seeds={cell.spec.seeds}")


def _plan(options: argparse.Namespace) -> None:
    from replications import plan

    for line in plan.report(options.papers or spec.papers(), options.preset):
        print(line)


def _dataset(options: argparse.Namespace) -> None:
    from replications import datasets

    datasets.write(options.name, options.output)


def _simulate(options: argparse.Namespace) -> None:
    cell = spec.cell(options.paper, options.experiment, options.arm, options.preset)
    from replications.simulate import simulate

    path = simulate(
        cell,
        options.results,
        options.seeds,
        options.datasets,
        options.batching,
        options.checkpoint_seconds,
    )
    print(path)


def _restore(options: argparse.Namespace) -> None:
    from replications import accepted

    accepted.restore(options.paper, options.table, options.results)


def _fingerprint(options: argparse.Namespace) -> None:
    from replications import accepted

    accepted.fingerprint(options.paper, options.experiment, options.results)


def _tabulate(options: argparse.Namespace) -> None:
    from replications import results

    results.tabulate(options.paper, options.experiment, options.preset, options.results)


def _embed(options: argparse.Namespace) -> None:
    from replications import embedding

    embedding.embed(
        options.paper, options.experiment, options.preset, options.results, options.datasets
    )


def _plot(options: argparse.Namespace) -> None:
    from replications import plotting

    plotting.plot(options.paper, options.figure, options.preset, options.results, options.formats)


def _judge(options: argparse.Namespace) -> None:
    from replications import claims

    claims.judge(options.paper, options.preset, options.results)


def _verdicts(options: argparse.Namespace) -> None:
    from replications import claims

    claims.verdicts(options.papers, options.preset, options.results)


def _check(options: argparse.Namespace) -> int:
    from replications import baselines

    return baselines.check(options.paper, options.preset, options.results)


def _accept(options: argparse.Namespace) -> int:
    from replications import accepted, baselines

    if options.preset == "paper":
        return accepted.accept(options.paper, options.results, options.yes)
    return baselines.accept(options.paper, options.preset, options.results, options.yes)


def _readme(options: argparse.Namespace) -> int:
    from replications import readme

    if not options.check:
        readme.take_pictures(options.results)
    true = readme.write(Path("README.md"), options.check)
    if options.check and not true:
        print("README.md does not show the accepted results; run `python -m replications readme`")
    return int(options.check and not true)


if __name__ == "__main__":
    sys.exit(main())
