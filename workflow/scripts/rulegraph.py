"""The rules as a picture: ``python -m workflow.scripts.rulegraph OUT [options of snakemake]``.

Drawn with matplotlib, because Graphviz comes with no Python package. Left to right; an arrow that
others imply is left out.
"""

import re
import subprocess
import sys
from functools import cache

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

Edges = frozenset[tuple[str, str]]


def parse(dot: str) -> Edges:
    """``(rule, rule that uses it)`` in Snakemake's dot text."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "([^"\\]+)', dot, re.MULTILINE))
    pairs = re.findall(r"^\s*(\d+) -> (\d+)", dot, re.MULTILINE)
    # Jobs of one rule may feed one another.
    return frozenset((names[a], names[b]) for a, b in pairs if names[a] != names[b])


@cache
def longest(edges: Edges, rule: str) -> int:
    """The number of steps on the longest way onwards from ``rule``."""
    return max((1 + longest(edges, user) for first, user in edges if first == rule), default=0)


def direct(edges: Edges) -> Edges:
    """The edges that no longer way implies."""

    def reaches(start: str, end: str) -> bool:
        return start == end or any(reaches(b, end) for a, b in edges if a == start)

    return frozenset(
        (a, b)
        for a, b in edges
        if not any(first == a and then != b and reaches(then, b) for first, then in edges)
    )


def places(edges: Edges) -> dict[str, tuple[float, float]]:
    """Columns by the way to the end; in a column, rules stand beside the middle of their users,
    those with the longest way behind them on top."""
    back = frozenset((user, first) for first, user in edges)
    columns: dict[int, list[str]] = {}
    for rule in sorted({rule for edge in edges for rule in edge}):
        columns.setdefault(longest(edges, rule), []).append(rule)
    place: dict[str, tuple[float, float]] = {}

    def order(rule: str) -> tuple[float, int]:
        users = [place[user][1] for first, user in edges if first == rule]
        return sum(users) / max(len(users), 1), longest(back, rule)

    for column in sorted(columns):
        rules = sorted(columns[column], key=order)
        middle = sum(order(rule)[0] for rule in rules) / len(rules)
        for i, rule in enumerate(rules):
            place[rule] = (-column, middle + i - (len(rules) - 1) / 2)
    return place


def draw(edges: Edges, target: str) -> None:
    edges = direct(edges)
    place = places(edges)
    columns, heights = zip(*place.values(), strict=True)
    matplotlib.rcParams["svg.hashsalt"] = "rulegraph"
    size = (1.5 * (max(columns) - min(columns) + 1), 0.6 * (max(heights) - min(heights) + 1))
    figure, axes = pyplot.subplots(figsize=size)
    box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "0.2"}
    drawn = {
        rule: axes.text(x, y, rule, ha="center", va="center", bbox=box)
        for rule, (x, y) in place.items()
    }
    for first, user in sorted(edges):
        ends = {"patchA": drawn[first].get_bbox_patch(), "patchB": drawn[user].get_bbox_patch()}
        arrow = {"arrowstyle": "->", "color": "0.4", "shrinkA": 1, "shrinkB": 1, **ends}
        axes.annotate("", place[user], place[first], arrowprops=arrow)
    axes.set(
        xlim=(min(columns) - 0.5, max(columns) + 0.5), ylim=(min(heights) - 0.5, max(heights) + 0.5)
    )
    axes.axis("off")
    figure.savefig(target, metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    _, target, *options = sys.argv
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    draw(parse(done.stdout), target)
