"""The plan: what a fresh clone would run, and what every rule must have."""

import ast
import inspect
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

import figures
from replications.harness import sources
from replications.harness.command_line import VERBS
from replications.harness.declared import experiments
from replications.harness.judging import manifests
from replications.harness.store import PRESETS
from replications.harness.training import provenance

ROOT = Path(__file__).parents[2]
PAPERS = yaml.safe_load((ROOT / "workflow/config.yaml").read_text())["papers"]
SNAKEFILES = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]


def rules() -> dict[str, str]:
    """The text of every rule that runs something, by name."""
    found = {}
    for path in SNAKEFILES:
        for block in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            name, _, body = block.partition(":")
            if "shell:" in body:
                found[name] = body
    return found


def outputs(summary) -> list[str]:
    """Every file that some rule of the default graph writes, logs and benchmarks too."""
    files = {record["output_file"] for record in summary}
    for record in summary:
        files.update(name for name in record["log-file(s)"].split(",") if name != "-")
    return sorted(files)


def drawable(preset: str, accepted: bool = False) -> set[tuple[str, str]]:
    """The figures that a preset, or what was accepted at full scale, has the experiments for."""
    found = set()
    for paper in PAPERS:
        there = experiments.accepted(paper) if accepted else experiments.names(paper, preset)
        for name, figure in figures.of(paper).items():
            # What has nothing of its own at full scale is in the quick run already.
            full = not accepted or figure.experiments & set(experiments.kept(paper))
            if figure.drawable(set(there)) and full:
                found.add((paper, name))
    return found


def needed_by(drawn: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The tables of figures."""
    return {(paper, table) for paper, name in drawn for table in figures.find(paper, name).needs}


def test_the_config_names_every_paper():
    assert sorted(PAPERS) == experiments.papers()


def test_every_figure_is_drawn_under_some_preset():
    every = {(paper, name) for paper in PAPERS for name in figures.of(paper)}
    assert set.union(*map(drawable, PRESETS)) == every


@pytest.mark.parametrize("preset", PRESETS)
def test_a_fresh_clone_plans_every_cell_table_figure_and_verdict(clone, planned, preset):
    if preset != "quick":  # which is the default
        planned = clone.planned("--config", f"preset={preset}")
    cells = [cell for paper in PAPERS for cell in experiments.cells(paper, preset)]
    of_experiments = len({(cell.paper, cell.experiment) for cell in cells})
    # A job is a cell at full scale, and an experiment in quick.
    assert planned["simulate"] == (len(cells) if preset == "full" else 0)
    assert planned["experiment"] == (of_experiments if preset == "quick" else 0)
    assert planned["tabulate"] == of_experiments
    drawn = drawable(preset)
    assert planned["embed"] == sum("embedding" in table for _, table in needed_by(drawn)) > 0
    assert planned["dataset"] == len({cell.dataset for cell in cells} - {None})
    # Beside a quick run stands what was accepted at full scale, which is read where it is kept.
    full = [paper for paper in PAPERS if preset == "quick" and experiments.accepted(paper)]
    shown = drawable("full", accepted=True) if full else set()
    assert planned["plot"] == len(drawn) + len(shown)
    # Today's code is the one under which the accepted results were last seen to stand.
    assert planned["fingerprint"] == sum(bool(manifests.unproven(paper)) for paper in full)
    both = len(PAPERS) + len(full)
    assert planned["judge"] == planned["summarize"] == planned["check"] == both
    assert planned["verdicts"] == 1 + bool(full)
    for once in ("overview", "scoreboard", "times", "all"):
        assert planned[once] == 1
    arrays = {(paper, t) for paper, t in needed_by(drawn) if "." in t and "embedding" not in t}
    assert planned["arrays"] == len(arrays)
    known = {"simulate", "experiment", "dataset", "tabulate", "embed", "arrays", "plot", "judge"}
    known |= {
        "fingerprint",
        "summarize",
        "check",
        "verdicts",
        "overview",
        "scoreboard",
        "times",
        "all",
    }
    assert set(planned) <= known


def test_the_default_target_is_everything(clone, planned):
    assert planned == clone.planned("all")


def test_one_more_paper_is_a_folder_and_a_line_in_the_config(with_paper):
    assert with_paper.planned("tiny")["experiment"] == 2
    more = with_paper.planned() - with_paper.planned(*PAPERS)
    assert more["judge"] == more["check"] == 1


def test_a_papers_target_plans_that_paper_alone(with_paper):
    of_all = {"Draw the picture of all papers", "Lay out the scoreboard"}
    assert all("tiny" in line for line in with_paper.messages("tiny") - of_all)


def test_no_rule_writes_a_tracked_file(clone, summary):
    files = outputs(summary)
    assert len(files) > 50
    assert all(name.startswith("results/") for name in files)
    tracked = ["git", "ls-files", "results"]
    done = subprocess.run(tracked, cwd=clone.folder, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    ignored = ["git", "check-ignore", "--stdin"]
    names = "\n".join(files)
    done = subprocess.run(
        ignored, cwd=clone.folder, input=names, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == files


def test_an_embedding_is_no_table_of_an_experiment_and_trains_nothing(clone):
    table = "results/quick/nokland2016/tables/mnist_3x400.embedding.csv"
    assert clone.planned(table) == Counter(dataset=1, experiment=1, embed=1)
    assert "replications.harness.judging.embedding" in rules()["embed"]
    cells = [cell for paper in PAPERS for cell in experiments.cells(paper, "quick")]
    run = {path.name for cell in cells for path in provenance.cell_sources(cell)}
    assert run.isdisjoint({"embedding.py", "projection.py"})


def test_planning_writes_nothing_under_results(clone, planned):
    assert planned
    assert not (clone.folder / "results").exists()


@pytest.mark.parametrize("name", rules())
def test_every_rule_has_a_log_an_environment_and_a_message(name):
    for directive in ("log:", "conda:", "message:", "logged {log}"):
        assert directive in rules()[name]


# What decides the numbers of these is told cell by cell, by digests: tests/harness/training/test_provenance.py.
BY_DIGEST = {
    "dataset": "content",
    "simulate": "source_digest",
    "experiment": "sources_of_experiment",
    "fingerprint": "digests_of_accepted",
}


def modules_of_verb(verb: str) -> list[str]:
    """The modules that a verb of the harness asks for, whatever its options."""
    function = ast.parse(inspect.getsource(VERBS[verb].run)).body[0]
    always = [node for node in function.body if not isinstance(node, ast.If)]
    calls = [node for one in always for node in ast.walk(one) if isinstance(node, ast.Call)]
    return [
        f"replications.harness.{ast.literal_eval(call.args[0])}"
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "_module"
    ]


def rerun_on(body: str) -> set[Path]:
    """The sources that a rule counts: what it names, with all that this imports."""
    named = re.search(r"code=code\(([^)]*)\)", body)
    modules = re.findall(r'"([\w.{}]+)"', named[1]) if named else []
    return set(sources.closure([name.format(paper=PAPERS[0]) for name in modules]))


@pytest.mark.parametrize("name", [name for name in rules() if name not in ("check", "site")])
def test_a_rule_reruns_on_all_that_its_verb_imports(name):
    (verb,) = re.findall(r"python -m replications (\w+)", rules()[name])
    if name in BY_DIGEST:
        assert f"={BY_DIGEST[name]},\n" in rules()[name]
        return
    modules = modules_of_verb(verb)
    assert modules
    assert set(sources.closure(modules)) <= rerun_on(rules()[name])


def test_the_check_reruns_on_all_that_its_test_imports_and_on_the_test():
    folder = ROOT / "tests/regression"
    files = [file for file in folder.iterdir() if file.is_file() and "test_" not in file.name]
    for file in files:
        assert f'"{file.name}"' in rules()["check"]
    imported = [
        f"{node.module}.{alias.name}"
        for file in files
        if file.suffix == ".py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert set(sources.closure(imported)) <= rerun_on(rules()["check"])


def test_no_rule_lists_the_sources_of_the_suite():
    for name, body in rules().items():
        listed = set(re.findall(r"[\w/]+\.py\b", body))
        tests = {"tests/regression/check_accepted.py", "check_accepted.py", "conftest.py"}
        assert listed <= (tests if name == "check" else set()), name


def test_helpers_stand_in_the_common_file_only():
    for path in SNAKEFILES:
        text = path.read_text()
        assert "lambda" not in text
        assert path.name == "common.smk" or not re.search(r"^def ", text, re.MULTILINE)


def test_planning_imports_neither_jax_nor_matplotlib_nor_pandas(clone):
    common = (ROOT / "workflow/rules/common.smk").read_text()
    imports = re.findall(r"^(?:import|from) .*$", common, re.MULTILINE)
    assert "from replications.harness.showing import closing, plotting, progress" in imports
    asked = (
        "plotting.drawable('lillicrap2016', 'quick'); experiments.cells('lillicrap2016', 'full')"
    )
    found = "print({'jax', 'flax', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules))"
    assert clone.python("-c", "\n".join([*imports, asked, found])).said.strip() == "set()"


def test_snakemakes_linter_has_nothing_to_say(clone):
    ended = clone.snakemake("--lint")
    assert ended.status == 0, ended.said


PROFILES = sorted(path.parent.name for path in (ROOT / "workflow/profiles").glob("*/config.yaml"))


def test_there_is_a_profile_for_a_cluster_a_cloud_and_an_accelerator():
    assert PROFILES == ["gpu", "kubernetes", "slurm"]


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_sets_resources_of_rules_that_there_are(name):
    profile = yaml.safe_load((ROOT / "workflow/profiles" / name / "config.yaml").read_text())
    assert set(profile.get("set-resources", {})) <= set(rules())


def test_every_caption_of_the_report_is_that_of_a_rule():
    named = {
        Path(name).name
        for body in rules().values()
        for name in re.findall(r"report/\w+\.rst", body)
    }
    there = {path.name for path in (ROOT / "workflow/report").iterdir()}
    assert named == there


def test_the_gpu_profile_puts_all_seeds_of_one_cell_on_the_device_at_once(clone):
    words = ["--dry-run", "--printshellcmds", "--profile", "workflow/profiles/gpu"]
    said = clone.snakemake(*words).said
    assert "--batching vmap" in said
    assert "--batching map" not in said


def test_on_a_cluster_many_small_cells_cost_one_job(clone):
    """The jobs of a fresh clone's cells, of which a cluster would start each in ten seconds or more."""
    ended = clone.snakemake("--dry-run", "--profile", "workflow/profiles/slurm")
    assert ended.status == 0, ended.said
    cells = [cell for paper in PAPERS for cell in experiments.cells(paper, "quick")]
    of_experiments = {(cell.paper, cell.experiment) for cell in cells}
    simulated = re.findall(r"^ *Job \d+: Simulate (.*)$", ended.said, re.MULTILINE)
    assert set(simulated) == {f"{paper}: {experiment}" for paper, experiment in of_experiments}
    assert len(simulated) == len(of_experiments) < len(cells) / 3
