"""YAML into typed objects: unknown keys are refused, and every error is one line for the user."""

import re
from copy import deepcopy
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from replications.harness.errors import UserError, nearest

Model = TypeVar("Model", bound="Strict")
# The same safe loader, ten times faster where PyYAML was built with libyaml, as its wheels are.
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# How deep lists and mappings may lie in each other, and how many there may be once aliases are followed.
_DEEPEST, _MOST = 50, 100_000
# What CSV or YAML would read as nothing at all.
MISSING = ("null", "nan", "na", "none")
_PLAIN = (str, bool, int, float, type(None))


class Loader(_SAFE):  # type: ignore[misc, valid-type]
    """The safe loader, with text, numbers, truth values, null, lists and mappings alone.

    It takes no key twice: YAML would keep the last and say nothing. A date stays the text that it is.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if key.tag.endswith(":merge") or not isinstance(key.value, str):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in Loader.yaml_implicit_resolvers.items()
}
Loader.yaml_constructors = {
    tag: construct
    for tag, construct in Loader.yaml_constructors.items()
    if tag is None
    or tag.rpartition(":")[2] in ("str", "bool", "int", "float", "null", "seq", "map")
}


class Strict(BaseModel):
    """A record that refuses unknown keys and never changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises UserError where the file is missing, empty or no YAML, and where it
    holds what is neither text nor a number, a truth value, null, a list or a mapping of names."""
    try:
        # Without the mark that some editors put before UTF-8.
        content = deepcopy(_content(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        said = one_line(getattr(error, "problem", error))
        raise UserError(f"{path}:{line} not valid YAML: {said}") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: too deep") from None
    except (ValueError, TypeError, LookupError) as error:  # a list as a key, `!!bool x`
        raise UserError(f"{path}: not valid YAML: {one_line(error)}") from None
    if content is None:
        raise UserError(f"{path}: the file is empty")
    return content


@lru_cache(maxsize=32)
def _content(text: str) -> Any:
    """What a text says: a verb reads the same few files dozens of times."""
    content = yaml.load(text, Loader)
    _check_plain(content)
    return content


def _check_plain(content: Any) -> None:
    """Raise ValueError for what JSON could not hold, for what holds itself and for what is beyond measure."""
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST:
            raise ValueError("too deep, or a part that holds itself")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, _PLAIN):
                    raise ValueError(f"a name is text, not {shown(key)}")
            waiting += [(one, depth + 1) for one in value.values()]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]
        elif not isinstance(value, _PLAIN):
            raise ValueError(f"{shown(value)} is neither text nor a number, a list or a mapping")
        elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError(f"{shown(value)} is half a character")


def one_line(said: object, most: int = 300) -> str:
    """What somebody else's error says, as one line of at most so many characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(said)).split())
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def shown(value: object) -> str:
    """A value as an error shows it: one short line."""
    return one_line(repr(value), 80)


def check_name(name: str, what: str) -> None:
    """Raise ValueError where ``name`` could not be the name of a file or a column."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name.lower() in MISSING:
        raise ValueError(f"{what} {shown(name)}: a name is letters, digits, '_', '-' and '.'")


def parse(model: type[Model], data: Any, where: str) -> Model:
    """``data`` as a ``model``. Raises UserError naming the key, the value and the nearest valid one."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{where}: {_one_line(model, error)}") from None


def _one_line(model: type[Strict], error: ValidationError) -> str:
    details = error.errors()
    # An unknown key is the likeliest cause of whatever else is wrong beside it.
    detail = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
    location = [str(part) for part in detail["loc"]]
    key = one_line(".".join(location), 100)
    value = shown(detail["input"])
    if detail["type"] == "extra_forbidden":
        allowed = _fields(model, location[:-1])
        return f"unknown key '{key}' (value {value}); {nearest(location[-1], allowed)}"
    if detail["type"] == "literal_error":
        allowed = _allowed_names(detail.get("ctx", {}).get("expected", ""))
        return f"{key}: unknown value {value}; {nearest(detail['input'], allowed)}"
    if detail["type"] == "missing":
        return f"missing key '{key}'"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] == "value_error":
        return f"{key}: {message}" if key else message
    hint = _as_number(detail["input"]) if detail["type"] in ("float_type", "int_type") else ""
    return f"{key}: {value} is wrong: {message}{hint}"


def _as_number(value: object) -> str:
    """How YAML would read a text as the number that it looks like: a float has a dot in it."""
    found = (
        re.fullmatch(r"([-+]?\d+)(\.\d*)?[eE]([-+]?)(\d+)", value)
        if isinstance(value, str)
        else None
    )
    if found is None or not isfinite(float(found[0])):
        return ""
    return f"; write {found[1]}{found[2] or '.0'}e{found[3] or '+'}{found[4]}"


def _allowed_names(expected: str) -> list[str]:
    return [name.strip(" '") for name in expected.replace(" or ", ", ").split(",") if name.strip()]


def _fields(model: Any, path: list[str]) -> list[str]:
    """The keys allowed at ``path`` below ``model``; through lists, dicts and optional fields."""
    for part in path:
        fields = getattr(model, "model_fields", None)
        if fields is not None and part in fields:
            model = fields[part].annotation
        while not hasattr(model, "model_fields"):
            inner = [a for a in get_args(model) if a is not type(None) and a is not str]
            if not inner:
                return []
            model = inner[-1]
    names: dict[str, Any] = getattr(model, "model_fields", {})
    return list(names)
