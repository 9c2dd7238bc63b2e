"""The schemas for editors say of the papers' own files what the harness says."""

import copy
import json

import pytest
import yaml

from replications.harness.catalogue.measures import MEASURES
from replications.harness.catalogue.rules import RULES
from replications.harness.declared.experiments import papers
from replications.harness.declared.schemas import schemas, write_schemas
from replications.harness.store import Store

FILES = {
    "experiments": Store().experiments,
    "claims": Store().claims,
    "published": Store().published,
}


@pytest.mark.parametrize("paper", papers())
@pytest.mark.parametrize("kind", FILES)
def test_every_file_of_every_paper_is_valid(kind, paper):
    jsonschema = pytest.importorskip("jsonschema")
    content = yaml.safe_load(FILES[kind](paper).read_text(encoding="utf-8"))
    errors = jsonschema.Draft202012Validator(schemas()[kind]).iter_errors(content)
    assert [f"{one.json_path}: {one.message}" for one in errors] == []


EXPERIMENT = {
    "title": "t",
    "place": "p",
    "spec": {"network": {"hidden": "2x4", "init": {"uniform": 1}}},
    "arms": {"a": None, "b": {"rule": "backprop", "presets": {"quick": {"seeds": 2}}}},
    "presets": {"quick": None, "full": {"epochs": 2}},
}


def experiment(place, value):
    content = copy.deepcopy(EXPERIMENT)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return {"title": "t", "reference": "r", "experiments": {"e": content}}


def claim(**part):
    value = {"experiment": "e", "arm": "a", "measure": "test_error"}
    parts = [{"value": value, **part}]
    return {"claims": [{"id": "T1", "place": "p", "statement": "s", "parts": parts}]}


NUMBER = {"experiment": "e", "arm": "a", "measure": "test_error", "unit": "%", "at": "end",
          "certainty": "A", "place": "p", "source": "s"}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("experiments", experiment(["spec", "seeds"], 3), experiment(["spec", "sede"], 3)),
        (
            "experiments",
            experiment(["arms", "b", "rule"], "shallow"),
            experiment(["arms", "b", "rule"], "shalow"),
        ),
        (
            "experiments",
            experiment(["arms", "b", "presets", "full"], {"batch": 2}),
            experiment(["arms", "b", "presets", "paper"], {"batch": 2}),
        ),
        (
            "experiments",
            experiment(["presets", "full"], {"batch": 2}),
            experiment(["presets", "full"], {"bach": 2}),
        ),
        *(
            (
                "experiments",
                experiment(["spec", "network", "init"], right),
                experiment(["spec", "network", "init"], wrong),
            )
            for right, wrong in [
                ("zeros", "uniform"),
                ({"uniform": 0.1}, {"uniform": None}),
                ({"normal": 1}, {"zeros": 1}),
                ({"kind": "normal", "value": 1.0}, {"kind": "norml", "value": 1.0}),
            ]
        ),
        (
            "experiments",
            experiment(["spec", "network", "hidden"], [4]),
            experiment(["spec", "network", "hidden"], "0x4"),
        ),
        ("claims", claim(below=1), claim(belov=1)),
        ("claims", claim(minus={"arm": "b"}), claim(minus={"amr": "b"})),
        ("claims", claim(around="published", margin=1), claim(around="publisht", margin=1)),
        ("published", [{**NUMBER, "value": 1}], [{**NUMBER, "valeu": 1}]),
    ],
)
def test_a_mistake_is_marked_and_what_is_right_is_not(kind, right, wrong):
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schemas()[kind])
    assert validator.is_valid(right)
    assert not validator.is_valid(wrong)


def test_an_editor_completes_the_names_of_the_catalogue():
    spec = schemas()["experiments"]["$defs"]["RunSpec"]["properties"]
    assert spec["rule"]["enum"] == list(RULES)
    assert spec["measures"]["items"]["enum"] == list(MEASURES)


def test_the_files_are_written_under_the_names_of_what_they_describe(tmp_path):
    write_schemas(tmp_path / "schemas")
    found = {path.name: json.loads(path.read_text()) for path in (tmp_path / "schemas").iterdir()}
    assert found == {f"{kind}.schema.json": schema for kind, schema in schemas().items()}
