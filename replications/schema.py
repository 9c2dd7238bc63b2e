"""YAML into typed objects: unknown keys are refused, and every error is one line for the user."""

from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from replications.errors import UserError, nearest

Model = TypeVar("Model", bound="Strict")
# The same safe loader, ten times faster where PyYAML was built with libyaml, as its wheels are.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Strict(BaseModel):
    """A record that refuses unknown keys and never changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises UserError where the file is missing or no YAML."""
    try:
        return yaml.load(path.read_text(), LOADER)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path}:{line} not valid YAML: {getattr(error, 'problem', error)}"
        ) from None


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
