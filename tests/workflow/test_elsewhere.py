"""What others run: their workflows, image, lock and catalogues are well formed and say what is so here."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bioflax

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
STEPS = [
    (path.name, name, step)
    for path in WORKFLOWS
    for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    for step in job["steps"]
]
CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CLUSTERS = [ROOT / f"workflow/profiles/{name}/config.yaml" for name in ("slurm", "kubernetes")]


def linted(program: str, *words: object) -> None:
    """A linter that came with the extra `test` has nothing to say."""
    command = shutil.which(program, path=Path(sys.executable).parent)
    assert command, f"no {program} beside {sys.executable}"
    done = subprocess.run([command, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_has_nothing_to_say_of_the_workflows():
    assert [path.name for path in WORKFLOWS] == ["nightly.yml", "test.yml"]
    linted("actionlint", *WORKFLOWS)


def test_every_action_is_pinned_by_the_digest_of_a_commit_with_its_tag_beside_it():
    used = [step["uses"] for *_, step in STEPS if "uses" in step]
    text = "".join(path.read_text() for path in WORKFLOWS)
    pinned = re.findall(r"uses: (\S+@[0-9a-f]{40}) # v\d+\.\d+\.\d+$", text, re.MULTILINE)
    assert used
    assert pinned == used


def test_the_workflows_run_the_two_commands_and_scripts_that_are_there():
    said = [step["run"] for *_, step in STEPS if "run" in step]
    assert "pip install -e '.[workflow]' && snakemake --cores all" in said
    scripts = {word for line in said for word in line.split() if word.startswith(".ci/")}
    assert scripts == {".ci/run", ".ci/library", ".ci/lock"}
    assert all((ROOT / script).is_file() for script in scripts)


def test_the_library_is_tested_under_the_lowest_and_the_newest_python_and_jax():
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    matrix = jobs["library"]["strategy"]["matrix"]
    pythons = {row["set"]: row["python"] for row in matrix["include"]}
    said = [line.rpartition(":: ")[2] for line in PROJECT["classifiers"] if "Python :: 3" in line]
    assert pythons == {"lowest": said[0], "newest": said[-1]}
    assert PROJECT["requires-python"] == f">={said[0]}"
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_hadolint_has_nothing_to_say_of_the_image():
    linted("hadolint", ROOT / "Dockerfile")


def test_the_image_is_the_lock_and_the_profile_names_its_version():
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --requirement /requirements.lock" in text
    profile = CLUSTERS[1].read_text()
    assert yaml.safe_load(profile)["container-image"] == f"bioflax:{bioflax.__version__}"
    named = re.findall(r"bioflax:(\d[\d.]*\d)", profile + text)
    assert set(named) == {bioflax.__version__}


def locked() -> dict[str, tuple[str, list[str]]]:
    """The packages of the lock: version and hashes."""
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = {}
    for entry in re.split(r"^(?=\S)", "\n".join(lines), flags=re.MULTILINE)[1:]:
        requirement, *hashes = [part.strip(" \\\n") for part in entry.split("\\\n")]
        name, _, version = requirement.partition(" ;")[0].partition("==")
        found[name] = (version, hashes)
    return found


def wanted(extra: str) -> list[Requirement]:
    """The requirements of the library with an extra, and of the extras in it."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if requirement.name == PROJECT["name"]:
            found += [inner for name in requirement.extras for inner in wanted(name)]
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("extra", ["workflow", "cluster"])
def test_the_lock_has_every_package_that_is_declared_in_a_version_of_its_range(extra):
    versions = locked()
    for requirement in wanted(extra):
        version, _ = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: run `bash .ci/lock`"


def test_every_package_of_the_lock_has_one_version_and_hashes_and_no_place():
    assert len(locked()) > 50
    for name, (version, hashes) in locked().items():
        assert re.fullmatch(r"[\w.+!]+", version), name
        assert hashes, name
        assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", text) for text in hashes), name
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|@", text)


def test_codecheck_is_told_files_that_a_fresh_clone_makes(summary):
    text = (ROOT / "codecheck.yml").read_text()
    assert text.startswith("%YAML 1.1\n---\n")
    manifest = yaml.safe_load(text)["manifest"]
    made = {row["output_file"] for row in summary}
    assert {entry["file"] for entry in manifest} <= made
    assert all(entry["comment"] for entry in manifest)
    papers = yaml.safe_load((ROOT / "workflow/config.yaml").read_text())["papers"]
    checked = {entry["file"] for entry in manifest if entry["file"].endswith("check.txt")}
    assert len(checked) == len(papers)


def test_codecheck_is_told_the_title_the_authors_and_the_papers_that_are_cited():
    paper = yaml.safe_load((ROOT / "codecheck.yml").read_text())["paper"]
    assert paper["title"] == CITED["title"]
    assert paper["authors"] == CITED["authors"]
    assert all(place(reference) in paper["reference"] for reference in CITED["references"])
    assert set(PROJECT["urls"].values()) == {
        f"https://doi.org/{reference['doi']}"
        if "doi" in reference
        else f"https://arxiv.org/abs/{place(reference).removeprefix('arXiv:')}"
        for reference in CITED["references"]
    }


def place(reference: dict) -> str:
    """Where a cited paper is found."""
    return reference.get("doi") or reference["identifiers"][0]["value"]


def test_the_workflow_catalogue_finds_what_it_looks_for():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda", "report"}
    assert deployment["conda"]
    assert (ROOT / "environment.yml").is_file()
    assert deployment["report"]
    assert re.search(r"^report:", (ROOT / "Snakefile").read_text(), re.MULTILINE)
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    assert list((ROOT / "workflow/rules").glob("*.smk"))


@pytest.mark.parametrize("profile", CLUSTERS, ids=lambda path: path.parent.name)
def test_the_small_jobs_of_rules_that_exist_share_a_job_on_one_cpu(profile):
    settings = yaml.safe_load(profile.read_text())
    groups = dict(entry.split("=") for entry in settings["groups"])
    sizes = dict(entry.split("=") for entry in settings["group-components"])
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^rule (\w+):", text, re.MULTILINE))
    # An experiment is one job already, and a cell of full scale takes hours.
    assert "plot" in groups
    assert set(groups) <= rules
    assert set(groups.values()) == set(sizes)
    assert settings["cores"] == 1
