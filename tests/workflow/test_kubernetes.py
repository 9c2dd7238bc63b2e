"""The profile of Kubernetes, against an API and a store that keep what they are asked for."""

import base64
import io
import re
import tarfile
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.workflow.conftest import Ended
from tests.workflow.fake_cloud import CREDENTIALS, Cloud, cloud

PROFILE = Path("workflow/profiles/kubernetes")
CELLS = "results/quick/tiny/runs/line"


def snakemake(checkout, *words: str) -> tuple[Ended, Cloud]:
    """What it said, and what it asked the cluster and the store for."""
    with cloud() as asked, pytest.MonkeyPatch.context() as patch:
        for name, value in asked.environment(checkout.folder.parent).items():
            patch.setenv(name, value)
        address = ["--storage-s3-endpoint-url", asked.address]
        command = ["-m", "snakemake", *words, "--profile", str(PROFILE), *address]
        # The client of Kubernetes looks for its configuration when it is imported.
        return checkout.python(*command, forked=False), asked


def test_a_dry_run_says_what_would_be_submitted_and_submits_nothing(with_paper):
    ended, asked = snakemake(with_paper, "--dry-run", "tiny")
    assert ended.status == 0, ended.said
    # The cells of an experiment in one job, the plots in another.
    assert len(re.findall(r"Group job plots", ended.said)) == 1
    assert len(re.findall(r"^ *Job \d+: Simulate tiny", ended.said, re.MULTILINE)) == 2
    assert f"s3://bioflax/{CELLS} (in storage)" in ended.said
    assert not asked.jobs
    assert not asked.secrets
    assert not asked.objects


@pytest.fixture(scope="module")
def asked(with_paper):
    """What is asked for an experiment of two cells. Nothing takes the job, so Snakemake stops."""
    ended, asked = snakemake(with_paper, CELLS, "--retries=0")
    assert "Kubernetes request failed" in ended.said
    return asked


@pytest.fixture
def job(asked):
    (only,) = asked.jobs
    return only


def test_the_submitted_job_is_one_that_kubernetes_accepts(job):
    # The client leaves these to the path that it asks.
    job = {"apiVersion": "batch/v1", "kind": "Job", **job}
    latest = kubernetes_validate.latest_version()
    kubernetes_validate.validate(job, latest, strict=True)
    wrong = {**job, "spec": {**job["spec"], "templates": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, latest, strict=True)


def test_its_pod_runs_both_cells_in_the_image_on_one_cpu(job):
    profile = yaml.safe_load((Path(__file__).parents[2] / PROFILE / "config.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == profile["container-image"]
    said = " ".join(container["args"])
    assert "experiment:preset=quick,paper=tiny,experiment=line" in said
    requests = container["resources"]["requests"]
    # Of one cell, not of both: they run one after the other. And no GPU.
    assert requests == {"cpu": "950m", "memory": "3000M", "ephemeral-storage": "2000M"}


def test_it_knows_the_store_by_a_secret_and_no_password_stands_in_the_job(job, asked):
    (secret,) = asked.secrets
    (container,) = job["spec"]["template"]["spec"]["containers"]
    named = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"]}
    for name, password in CREDENTIALS.items():
        assert named[name]["name"] == secret["metadata"]["name"]
        assert base64.b64decode(secret["data"][named[name]["key"]]).decode() == password
        assert password not in str(job)


def test_every_source_that_a_cell_runs_is_sent_to_it(with_paper, job, asked):
    (archive,) = (body for name, body in asked.objects.items() if name.endswith(".tar.xz"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as sent:
        names = set(sent.getnames())
    tracked = with_paper.folder.rglob("*.py")
    package = {str(path.relative_to(with_paper.folder)) for path in tracked}
    of_cells = {name for name in package if name.startswith(("bioflax/", "replications/"))}
    assert of_cells <= names
    assert {"Snakefile", "workflow/config.yaml", "workflow/rules/simulate.smk"} <= names
