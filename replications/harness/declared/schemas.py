"""JSON schemas of the YAML files, by which an editor completes names and marks mistakes."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from replications.harness.catalogue.starts import STARTS
from replications.harness.declared.claims import Claims
from replications.harness.declared.config import Config
from replications.harness.declared.experiments import Paper
from replications.harness.declared.published import Published
from replications.harness.declared.spec import RunSpec
from replications.harness.files import atomically


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of every kind of file, by its name: of what people write, short forms included."""
    return {
        "experiments": _experiments(),
        "claims": _claims(),
        "published": TypeAdapter(list[Published]).json_schema(),
        "config": Config.model_json_schema(),
    }


def _experiments() -> dict[str, Any]:
    """An experiment's spec, an arm and a preset each say a part of a whole one, so no key is required."""
    schema, spec = Paper.model_json_schema(), RunSpec.model_json_schema()
    parts = spec.pop("$defs") | {"RunSpec": spec}
    for part in parts.values():
        part.pop("required", None)
    parts["Init"] = _any_of(
        {"enum": [name for name, start in STARTS.items() if not start.needs_value]},
        *(
            {**_OBJECT, "properties": {name: {"type": "number"}}, "required": [name]}
            for name, start in STARTS.items()
            if start.needs_value
        ),
        parts["Init"] | {"required": ["kind"]},
    )
    layers = parts["Network"]["properties"]
    units = {"type": "string", "pattern": "^[1-9][0-9]*x[1-9][0-9]*$"}
    layers["hidden"] = _any_of(layers["hidden"], units)
    experiment = schema["$defs"]["Experiment"]["properties"]
    experiment["presets"]["additionalProperties"] = _or_null("RunSpec")
    arm = spec["properties"] | {"presets": experiment["presets"]}
    experiment["arms"]["additionalProperties"] = _or_null("Arm")
    experiment["spec"] = {"$ref": "#/$defs/RunSpec"}
    schema["$defs"] |= parts | {"Arm": {**_OBJECT, "properties": arm}}
    return schema


def _claims() -> dict[str, Any]:
    """A second quantity says only what differs from the first; a trend names its arms itself."""
    schema = Claims.model_json_schema()
    parts = schema["$defs"]
    parts["At"] = _any_of({"type": "integer"}, {"enum": ["start", "end"]}, parts["At"])
    parts["Other"] = {k: v for k, v in parts["Quantity"].items() if k != "required"}
    parts["Quantity"]["required"].remove("arm")
    parts["Part"]["required"] = ["value"]
    for other in ("minus", "over"):
        parts["Part"]["properties"][other] = _or_null("Other")
    return schema


_OBJECT = {"type": "object", "additionalProperties": False}


def _any_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": list(schemas)}


def _or_null(name: str) -> dict[str, Any]:
    return _any_of({"$ref": f"#/$defs/{name}"}, {"type": "null"})


def write_schemas(folder: Path) -> None:
    """Write ``<kind>.schema.json`` for every kind of file into ``folder``."""
    for kind, schema in schemas().items():
        with atomically(folder / f"{kind}.schema.json") as temporary:
            temporary.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
