"""YAML into typed objects: unknown keys are refused, and every error is one line for the user."""

import re
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from replications.harness.errors import UserError, nearest

Model = TypeVar("Model", bound="Strict")
# The same safe loader, ten times faster where PyYAML was built with libyaml, as its wheels are.
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_SAFE):  # type: ignore[misc, valid-type]
    """The safe loader, which takes no key twice: YAML would keep the last and say nothing."""

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


class Strict(BaseModel):
    """A record that refuses unknown keys and never changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises UserError where the file is missing or no YAML."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except ValueError as error:  # a date or a number that Python cannot hold
        raise UserError(f"{path}: not valid YAML: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path}:{line} not valid YAML: {getattr(error, 'problem', error)}"
        ) from None


def check_name(name: str, what: str) -> None:
    """Raise ValueError where ``name`` could not be the name of a file or a column."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name.lower() in ("null", "nan"):
        raise ValueError(f"{what} {name!r}: a name is letters, digits, '_', '-' and '.'")


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
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        allowed = _fields(model, location[:-1])
        return f"unknown key '{key}' (value {detail['input']!r}); {nearest(location[-1], allowed)}"
    if detail["type"] == "literal_error":
        allowed = _allowed_names(detail.get("ctx", {}).get("expected", ""))
        return f"{key}: unknown value {detail['input']!r}; {nearest(detail['input'], allowed)}"
    if detail["type"] == "missing":
        return f"missing key '{key}'"
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: {detail['input']!r} is wrong: {message}"


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
