"""Strategies of mistakes: in bytes, in text, in what YAML and JSON say."""

import copy
import datetime
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st

# What stands where something else belongs.
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    3,
    10**30,
    -(10**30),
    2**31,
    2**63,
    0.5,
    -0.5,
    1e-320,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    " ",
    "1e-2",
    "null",
    "nan",
    "../../x",
    "/etc",
    "a/b",
    "x" * 5000,
    "ä\u2028\x85",
    "{a}",
    "%s %d",
    "7x240",
    "1x1000000000000",
    [],
    [None],
    [[]],
    [1, "a"],
    {},
    {"": None},
    {"a": {"b": [{}]}},
    datetime.date(2020, 1, 1),
    datetime.datetime(2020, 1, 1, 12),
    b"\x00\xff",
    {"x"},
]
# Names that are valid somewhere.
NAMES = [
    "uniform",
    "normal",
    "zeros",
    "grid",
    "forward_weights",
    "backprop",
    "kolen_pollack",
    "dfa",
    "test_error",
    "test_nse",
    "features",
    "train_loss",
    "delta_angle",
    "mnist5k",
    "sgd",
    "adam",
    "line",
    "full",
    "published",
]
# Text that YAML reads in its own way.
PIECES = [
    "!!python/object:os.system x",
    "!!binary x",
    "!!timestamp x",
    "!!set {a}",
    "!!omap [a: 1]",
    "!!int x",
    "!!float .",
    "!x y",
    "*a",
    "&a [*a]",
    "<<: *a",
    "<<: 3",
    "? [a, b]: c",
    "? {a: b}: c",
    "2020-01-01",
    "2020-13-45",
    "12:30:45",
    "0x1F",
    "0b2",
    "1_000",
    "1e400",
    "1e-2",
    ".inf",
    ".nan",
    "~",
    "yes",
    "\t",
    "%YAML 9.9",
    "---",
    "...",
    "|",
    ">",
    "'",
    '"\\ud800"',
    '"\\x00"',
    "#",
    ": ",
    "- ",
    "{",
    "[" * 200,
    "=",
    "1" * 5000,
    "\x00",
    "\ufeff",
    "\ufffe",
]

values = st.one_of(
    st.sampled_from(VALUES),
    st.sampled_from(NAMES),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)


def paths(content: Any) -> list[tuple[Any, ...]]:
    """The way to everything in nested lists and dicts."""
    if isinstance(content, dict):
        children = list(content.items())
    elif isinstance(content, list):
        children = list(enumerate(content))
    else:
        return [()]
    return [(), *((key, *rest) for key, child in children for rest in paths(child))]


@st.composite
def changed(draw: st.DrawFn, content: Any) -> Any:
    """Nested lists and dicts, with one to three things in them replaced, renamed or taken out."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths(content)))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return draw(values)
            continue
        *parents, last = path
        place = content
        for key in parents:
            place = place[key]
        what = draw(st.sampled_from(["replace", "replace", "delete", "rename", "add", "wrap"]))
        if what == "replace":
            place[last] = draw(values)
        elif what == "delete":
            del place[last]
        elif what == "wrap":
            place[last] = [place[last]]
        elif isinstance(place, list):
            place.insert(last, draw(values))
        else:
            new = draw(
                st.one_of(
                    st.sampled_from([None, True, 3, 0.1, "null", "../x", "a.b", ""]),
                    st.sampled_from([*NAMES, *(str(k) for k in place)]),
                    st.just(f"{last}x"),
                )
            )
            place[new] = place.pop(last) if what == "rename" else draw(values)
    return content


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """A file cut, flipped, emptied, doubled, with foreign bytes in it, or in another encoding."""
    kind = draw(st.sampled_from(["cut", "flip", "insert", "empty", "drop", "zeros", "encoding"]))
    at = draw(st.integers(0, len(data)))
    length = draw(st.integers(1, 64))
    if kind == "cut":
        return data[:at]
    if kind == "flip":
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
    if kind == "insert":
        return data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at:]
    if kind == "empty":
        return draw(st.sampled_from([b"", b"\n", b"\x00", b" "]))
    if kind == "drop":
        return data[:at] + data[at + length :]
    if kind == "zeros":
        return data[:at] + bytes(length) + data[at + length :]
    text = "ä" + data.decode("latin-1")
    return text.encode(draw(st.sampled_from(["latin-1", "utf-16", "utf-32", "utf-8-sig"])))


@st.composite
def written(draw: st.DrawFn, text: str) -> bytes:
    """A text with one or two pieces put into it, or lines of it doubled or indented otherwise."""
    for _ in range(draw(st.integers(1, 2))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["piece", "value", "double", "indent", "swap"]))
        if kind == "piece":
            place = draw(st.integers(0, len(text)))
            text = text[:place] + draw(st.sampled_from(PIECES)) + text[place:]
            continue
        if kind == "value":
            head, colon, _ = lines[at].partition(": ")
            lines[at] = head + colon + draw(st.sampled_from(PIECES))
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "indent":
            lines[at] = " " * draw(st.integers(0, 9)) + lines[at].lstrip()
        else:
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        text = "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def mistaken(text: str) -> st.SearchStrategy[bytes]:
    """A YAML file with mistakes in it, of every kind."""
    content = yaml.safe_load(text)
    write: Callable[[Any], bytes] = lambda found: yaml.dump(  # noqa: E731
        found, allow_unicode=True, sort_keys=False, Dumper=yaml.SafeDumper
    ).encode("utf-8", "surrogatepass")
    return st.one_of(changed(content).map(write), written(text), damaged(text.encode()))
