"""What README.md says is so: its example runs, its commands and links exist, its score is the accepted one."""

import re
import shlex
from pathlib import Path

import pytest

from replications.harness import command_line
from replications.harness.declared import experiments
from replications.harness.judging import predictions
from replications.harness.judging.accepted_verdicts import judged_as_accepted
from replications.harness.showing import markdown, readme
from replications.harness.store import PRESETS
from tests.benchmarks import conversions

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
LINES = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("replications/*/README.md"))]


def commands(program):
    """The arguments of every call of ``program`` that the README shows."""
    for line in LINES:
        for command in line.split(" && "):
            words = shlex.split(command)
            if words[: len(program)] == program:
                yield words[len(program) :]


def test_it_is_read_in_a_minute():
    assert len(TEXT.splitlines()) <= 141
    assert len(TEXT.encode()) <= 9_000


def test_its_example_is_short_and_runs(capsys):
    (example,) = [block for language, block in BLOCKS if language == "python"]
    assert len([line for line in example.splitlines() if line]) <= 12
    assert {"bioflax.convert(", "bioflax.alignment("} <= set(re.findall(r"bioflax\.\w+\(", example))
    exec(compile(example, "README.md", "exec"), {})
    printed = re.search(r"'layers/0': Array\((\d+\.\d+)", capsys.readouterr().out)
    said = re.search(r"hidden error: (\d+) degrees", example)
    assert float(printed[1]) == pytest.approx(int(said[1]), abs=1)


def test_the_harness_understands_its_commands():
    shown = list(commands(["python", "-m", "replications"]))
    assert shown
    for words in shown:
        command_line._parser().parse_args(words)


def test_the_verbs_that_it_names_exist():
    named = set(re.findall(r"`python -m replications (\w+)`", TEXT))
    assert named <= command_line.VERBS.keys()


def test_its_snakemake_targets_are_papers_or_files_that_rules_make():
    named = [
        word for words in commands(["snakemake"]) for word in words if not word.startswith("-")
    ]
    papers = {name for name in named if name in experiments.papers()}
    files = {name for name in named if name.startswith("results/")}
    assert papers
    assert files
    assert set(named) - papers - files <= {"all"}


def test_it_shows_the_accepted_score():
    assert readme.write(ROOT / "README.md", check=True), "run `python -m replications readme`"


def test_what_it_says_is_reproduced_and_what_failed_is_so():
    judged = {
        claim["id"]: claim
        for paper in experiments.papers()
        for claim in judged_as_accepted(paper, "full")["claims"]
    }
    said = re.search(r"\*\*Reproduced:\*\*(.*?)\*\*Failed:\*\*(.*?)\n\n", TEXT, re.DOTALL)
    good, bad = (set(re.findall(r"\b[LNK]\d[\w-]*", part)) for part in said.groups())
    assert good
    for name in good:
        assert (judged[name]["verdict"], judged[name]["power"]) == ("reproduced", True)
        assert not judged[name]["identity"]
    assert bad == {name for name, one in judged.items() if one["verdict"] == "not reproduced"}


def test_what_it_is_its_picture_and_its_example_come_before_any_command():
    sentence, picture, example, score, command = (
        TEXT.index(part)
        for part in ("Learning without", "![", "```python", "## The score", "```sh")
    )
    assert sentence < picture < example < score < command


def test_its_table_of_public_models_is_that_of_the_site_in_short():
    text = conversions.SITE.read_text(encoding="utf-8")
    marks = (f"<!-- {conversions.PART}: {word} -->" for word in ("begin", "end"))
    long = text.partition(next(marks))[2].partition(next(marks))[0].strip()
    assert markdown.fill(conversions.README, {conversions.PART: conversions.short(long)}, True)
    tried = {line.split("|")[1].strip() for line in long.splitlines()[2:] if "layers" in line}
    assert {model.family for model in conversions.MODELS} == tried


def test_the_tables_of_the_papers_pages_are_the_accepted_ones():
    assert readme.write_pages(check=True) == [], "run `python -m replications readme`"


def test_a_readme_with_another_score_is_not_true(tmp_path):
    changed = tmp_path / "README.md"
    changed.write_text(re.sub(r"\) \| (\d) \|", r") | 1\1 |", TEXT), encoding="utf-8")
    assert changed.read_text(encoding="utf-8") != TEXT
    assert not readme.write(changed, check=True)
    readme.write(changed)
    assert changed.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("paper", experiments.papers())
def test_a_papers_page_names_the_claims_that_are_younger_than_their_results(paper):
    ages: dict[str, set[str]] = {}
    for preset in PRESETS:
        for claim, older in predictions.of_claims(paper, preset).items():
            ages.setdefault(claim, set()).update(older)
    if any(predictions.UNKNOWN in found for found in ages.values()):
        pytest.skip("the history of git is not here")
    younger = {claim for claim, found in ages.items() if found & {predictions.NO, predictions.SOME}}
    text = (ROOT / "replications" / paper / "README.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"Younger than their results: (.*?)[.;]\s", text, re.DOTALL)
    assert set(re.findall(r"\b[CDKLNP]\d[\w-]*", named)) == younger
    of_rules = {a for preset in PRESETS for a in predictions.of_numbers(paper, preset).values()}
    assert (predictions.NO in of_rules) == ("the rules by which a number agrees" in named)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_picture_of_a_page_is_there(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_each_picture_of_a_paper_is_kept_and_no_other():
    for paper in experiments.papers():
        kept = set((ROOT / "replications" / paper).glob("*.png"))
        assert kept == {picture.file for picture in readme.pictures(paper)}


def test_no_table_is_shown_as_a_bitmap():
    for paper in experiments.papers():
        text = (ROOT / "replications" / paper / "README.md").read_text(encoding="utf-8")
        assert text.count("<!-- numbers: begin -->") == text.count("<!-- claims: begin -->") == 1


def test_what_an_update_costs_is_what_was_measured_beside_peers():
    page = (ROOT / "tests/benchmarks/RESULTS.md").read_text(encoding="utf-8")
    peers = re.search(r"<!-- peers: begin -->(.*)<!-- peers: end -->", page, re.DOTALL)[1]
    shares: dict[bool, list[float]] = {False: [], True: []}
    for net, faster in re.findall(r"(?m)^\| (\S+) \|(?: [^|]+\|){4} ([\d.]+) \|", peers):
        shares[net == "conv"].append(1 / float(faster))
    text = " ".join(TEXT.split())
    said = re.search(
        r"fully connected net takes ([\d.]+) to ([\d.]+) of PyTorch's time, of a convolutional one ([\d.]+) to "
        r"([\d.]+)",
        text,
    )
    ends = [end for one in shares.values() for end in (min(one), max(one))]
    assert [float(one) for one in said.groups()] == [round(end, 1) for end in ends]
