"""The archive that others run: whole, described, its numbers trained again by its own sources, damage named."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib import resources
from io import BytesIO
from pathlib import Path

import pytest
from requests import Request
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

from replications.harness.artifact import PROFILES

GIT = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]


@pytest.fixture(scope="module")
def packed(ran, tmp_path_factory):
    """A checkout of the finished run of the tests' paper, committed, and its archive."""
    copy = ran.copy(tmp_path_factory.mktemp("packed") / "bioflax")
    for words in (["add", "-A"], ["commit", "-qm", "accepted"]):
        subprocess.run([*GIT, *words], cwd=copy.folder, check=True)
    ended = copy.snakemake("artifact", "--cores", "2", "--config", "papers=[tiny]")
    assert ended.status == 0, ended.said
    return copy


def archive(packed):
    return packed.folder / "results/artifact.zip"


def test_it_holds_sources_lock_accepted_results_figures_claims_and_report(packed):
    with zipfile.ZipFile(archive(packed)) as file:
        names = set(file.namelist())
        metadata = json.loads(file.read("ro-crate-metadata.json"))["@graph"]
    assert {"CITATION.cff", "requirements.lock", "checksums.sha256", "source/Snakefile",
            "source/replications/tiny/accepted/quick/manifest.json", "results/report.html",
            "results/quick/tiny/figures/line.svg", "results/quick/tiny/claims.json"} <= names  # fmt: skip
    by_id = {one["@id"]: one for one in metadata}
    described = {one["@id"] for one in metadata if "File" in one["@type"]}
    assert described == names - {"checksums.sha256", "ro-crate-metadata.json"}
    assert {one["@id"] for one in by_id["./"]["conformsTo"]} == set(PROFILES)
    assert by_id["./"]["mainEntity"] == {"@id": "source/Snakefile"}
    (action,) = (one for one in metadata if one["@type"] == "CreateAction")
    assert action["instrument"] == {"@id": "source/Snakefile"}
    assert {"@id": "results/quick/tiny/claims.json"} in action["result"]
    assert {"@id": "requirements.lock"} in action["object"]


def test_it_is_checked_elsewhere_and_its_sources_verify(packed, clone, tmp_path):
    copy = clone.copy(tmp_path / "elsewhere")
    file = shutil.copy(archive(packed), tmp_path / "artifact.zip")
    cell = ["lillicrap2016", "linear_search", "shallow_1", "--passes", "1", "--sample", "1"]
    ended = copy.python("-m", "replications", "check-artifact", str(file), *cell)
    assert ended.status == 0, ended.said
    assert "all as written" in ended.said
    assert "1 of 5 accepted seeds trained again, none differs" in ended.said


def test_the_data_sets_of_a_check_are_those_of_whoever_checks(packed, clone, tmp_path):
    copy = clone.copy(tmp_path / "elsewhere")
    cell = ["kolen_pollack1994", "mnist", "backprop", "--sample", "1"]
    ended = copy.python("-m", "replications", "check-artifact", str(archive(packed)), *cell)
    assert ended.status == 2
    wanted = copy.folder / "results/datasets/mnist.npz"
    assert f"dataset mnist --output {wanted}`" in ended.said, ended.said


URL = "https://w3id.org/ro/crate/1.1/context"


@pytest.fixture
def validated(tmp_path):
    """Calls the validator of RO-Crates, without a network, on an unpacked archive: what it says."""
    # What it would fetch: the context, in the copy that rocrate brings. That is 1.3's; 1.1's terms for
    # workflows have other addresses.
    context = resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
    context = context.replace(b"https://bioschemas.org/terms/", b"https://bioschemas.org/")
    kind = {"Content-Type": "application/ld+json"}
    body = HTTPResponse(BytesIO(context), kind, 200, request_url=URL, preload_content=False)
    answer = HTTPAdapter().build_response(Request("GET", URL).prepare(), body)
    with CachedSession(str(tmp_path / "cache"), backend="sqlite", expire_after=-1) as session:
        session.cache.save_response(answer)

    def validate(folder):
        said = tmp_path / "said.json"
        words = ["--profile-identifier", "workflow-run-crate-0.5", "--requirement-severity", "required",
                 "--offline", "--cache-path", tmp_path / "cache", "--no-paging",
                 "--output-format", "json", "--output-file", said, folder]  # fmt: skip
        command = [Path(sys.executable).with_name("rocrate-validator"), "validate", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert said.is_file(), done.stdout + done.stderr
        return json.loads(said.read_text(encoding="utf-8"))

    return validate


def test_a_validator_of_others_finds_all_that_the_profiles_require(packed, tmp_path, validated):
    """The profiles of a Workflow Run Crate, and of all that it is a kind of."""
    folder = tmp_path / "crate"
    with zipfile.ZipFile(archive(packed)) as file:
        file.extractall(folder)
    found = validated(folder)
    assert found["issues"] == []
    assert found["passed"]
    assert not found["skipped_checks"]
    assert found["statistics"]["total_passed_checks"] > 50
    # It is one that sees what is wrong.
    metadata = folder / "ro-crate-metadata.json"
    metadata.write_text(metadata.read_text().replace('"ComputationalWorkflow"', '"HowTo"'))
    assert not validated(folder)["passed"]


def rewritten(file, to, change):
    """The archive with other contents: name -> bytes, through ``change``."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(to, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        change(contents)
        for name, data in contents.items():
            new.writestr(name, data)


CLAIMS = "results/quick/tiny/claims.json"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c: c.update({CLAIMS: c[CLAIMS] + b" "}), f"{CLAIMS} is not as it was written"),
        (lambda c: c.pop(CLAIMS), f"{CLAIMS} is gone"),
        (lambda c: c.update({"more": b""}), "more was added"),
        (lambda c: c.update({"../more": b""}), "../more lies outside the archive"),
        (lambda c: c.pop("checksums.sha256"), "no checksums.sha256 in it"),
    ],
)
def test_what_was_changed_in_it_is_named_in_one_line(packed, tmp_path, change, line):
    rewritten(archive(packed), tmp_path / "changed.zip", change)
    ended = packed.python("-m", "replications", "check-artifact", str(tmp_path / "changed.zip"))
    assert ended.status == 2
    assert line in ended.said
    assert ended.said.count("\n") == 1


@pytest.mark.parametrize("cut", [0, 100, -100])
def test_half_an_archive_is_one_line(packed, tmp_path, cut):
    file = tmp_path / "cut.zip"
    file.write_bytes(archive(packed).read_bytes()[:cut])
    ended = packed.python("-m", "replications", "check-artifact", str(file))
    assert ended.status == 2
    assert "not a whole archive" in ended.said
    assert ended.said.count("\n") == 1


def test_what_is_not_committed_is_not_packed(packed, tmp_path):
    copy = packed.copy(tmp_path / "bioflax")
    copy.edit("README.md", "bioflax", "bioflux")
    ended = copy.python("-m", "replications", "artifact", "--output", str(tmp_path / "a.zip"))
    assert ended.status == 2
    assert "not committed: M README.md; commit it first" in ended.said
    assert not (tmp_path / "a.zip").exists()
