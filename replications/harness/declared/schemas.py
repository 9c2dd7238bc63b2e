"""JSON schemas of the YAML files, by which an editor completes names and marks mistakes."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from replications.harness.declared.claims import Claims
from replications.harness.declared.experiments import Paper
from replications.harness.declared.published import Published
from replications.harness.declared.spec import RunSpec
from replications.harness.files import atomically


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of every kind of file, by its name."""
    # In the YAML an experiment's spec is a part of a whole one: arms and presets say the rest.
    experiments = Paper.model_json_schema()
    spec = RunSpec.model_json_schema()
    experiments["$defs"] |= spec.pop("$defs")
    spec.pop("required", None)
    experiments["$defs"]["RunSpec"] = spec
    experiments["$defs"]["Experiment"]["properties"]["spec"] = {"$ref": "#/$defs/RunSpec"}
    return {
        "experiments": experiments,
        "claims": Claims.model_json_schema(),
        "published": TypeAdapter(list[Published]).json_schema(),
    }


def write_schemas(folder: Path) -> None:
    """Write ``<kind>.schema.json`` for every kind of file into ``folder``."""
    for kind, schema in schemas().items():
        with atomically(folder / f"{kind}.schema.json") as temporary:
            temporary.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
