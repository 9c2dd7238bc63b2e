"""The schemas that editors read are those of the models, and every YAML file names its own."""

import json
from pathlib import Path

import pytest
import yaml

from replications.harness.declared import config
from replications.harness.declared.schemas import schemas, write_schemas
from replications.harness.store import PAPERS, ROOT

FOLDER = ROOT / "workflow/schemas"
FILES = [*sorted(PAPERS.glob("*/*.yaml")), ROOT / "workflow/config.yaml"]
FIRST = "# yaml-language-server: $schema="


def test_the_committed_schemas_are_those_of_the_models(tmp_path):
    write_schemas(tmp_path)
    written, committed = (
        {path.name: path.read_text() for path in folder.iterdir()} for folder in (tmp_path, FOLDER)
    )
    why = "run `python -m replications schemas --output workflow/schemas`"
    assert committed == written, why


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_yaml_file_names_its_schema_in_its_first_line(file):
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(FIRST)
    named = Path(file.parent, first.removeprefix(FIRST)).resolve()
    assert named == FOLDER / f"{file.stem}.schema.json"
    assert named.is_file()


def test_the_schema_of_the_configuration_knows_its_keys_and_the_presets():
    schema = schemas()["config"]
    content = yaml.safe_load((ROOT / "workflow/config.yaml").read_text())
    assert set(schema["properties"]) == set(content) == set(config.Config.model_fields)
    assert set(schema["properties"]["preset"]["enum"]) == {"quick", "full"}
    assert schema["additionalProperties"] is False
    assert json.loads((FOLDER / "config.schema.json").read_text()) == schema
