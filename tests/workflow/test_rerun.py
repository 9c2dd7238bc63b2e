"""What runs again after a change: what depends on it, and nothing else."""

from collections import Counter

# Of all papers, from what is declared and accepted: the scoreboard and its picture.
OF_ALL = {"overview": 1, "scoreboard": 1}
KOLEN_POLLACK = "bioflax/_rules/kolen_pollack.py"


def append(checkout, file: str, text: str) -> None:
    path = checkout.folder / file
    path.write_text(path.read_text() + text)


def simulated(checkout) -> set[str]:
    lines = checkout.messages("tiny")
    return {line.removeprefix("Simulate ") for line in lines if line.startswith("Simulate ")}


def test_a_second_run_does_nothing(ran):
    assert ran.planned("tiny") == Counter()


def test_a_rules_source_reruns_the_experiments_that_use_it_and_what_depends_on_them(edited):
    append(edited, KOLEN_POLLACK, "\nUNUSED = 1\n")
    assert simulated(edited) == {"tiny: other"}
    assert edited.planned("tiny") == Counter(
        experiment=1, tabulate=1, plot=1, judge=1, check=1, summarize=1, tiny=1
    )
    table = "results/quick/tiny/tables/other.csv"
    edited.run(table)
    assert edited.planned(table) == Counter()


def test_a_layers_source_reruns_every_experiment(edited):
    append(edited, "bioflax/_layers/linear.py", "\nUNUSED = 1\n")
    assert edited.planned("tiny")["experiment"] == 2


def test_a_rule_that_no_cell_uses_reruns_nothing(edited):
    for file in ("_rules/weight_mirror.py", "_mirror.py", "_direct/feedback_alignment.py"):
        append(edited, f"bioflax/{file}", "\nUNUSED = 1\n")
    assert edited.planned("tiny") == Counter()


OWN = '''"""A rule of one's own."""

import dataclasses

from bioflax._rules.feedback_alignment import FeedbackAlignment


@dataclasses.dataclass(frozen=True)
class Own(FeedbackAlignment):
    """Feedback alignment under another name.

    Reference: nobody.
    """
'''


def test_a_new_rule_is_one_row_outside_the_library_and_reruns_nothing_but_its_experiment(edited):
    """In the library a module and its name; outside of it a row of the catalogue; then a spec may use it."""
    (edited.folder / "bioflax/_rules/own.py").write_text(OWN)
    append(edited, "bioflax/_rules/__init__.py", "\nfrom bioflax._rules.own import Own\n")
    append(edited, "bioflax/__init__.py", "\nfrom bioflax._rules import Own\n")
    row = '    "own": LearningRule("my own", "#123456", "Own"),\n    "shallow": '
    edited.edit("replications/harness/catalogue/rules.py", '    "shallow": ', row)
    spec = "replications/tiny/experiments.yaml"
    edited.edit(spec, "feedback_alignment: {}", "feedback_alignment: {}\n      own: {rule: own}")
    assert simulated(edited) == {"tiny: line"}
    results = "results/quick/tiny"
    made = ["tables/line.csv", "tables/summary.html", "figures/line.svg", "claims.json"]
    edited.run(*(f"{results}/{name}" for name in made))
    table = (edited.folder / results / "tables/line.csv").read_text()
    # The same draws and the same updates as the rule that it is.
    lines = [line for line in table.splitlines() if line.startswith("feedback_alignment,")]
    assert lines
    assert [line.replace("feedback_alignment,", "own,") for line in lines] == [
        line for line in table.splitlines() if line.startswith("own,")
    ]
    # What editors complete is generated from the catalogue.
    schemas = "workflow/schemas"
    before = (edited.folder / schemas / "experiments.schema.json").read_text()
    said = edited.python("-m", "replications", "schemas", "--output", schemas)
    assert said.status == 0, said.said
    after = (edited.folder / schemas / "experiments.schema.json").read_text()
    assert ('"own"' in before, '"own"' in after) == (False, True)


def test_a_docstring_a_comment_and_a_blank_line_rerun_nothing(edited):
    text = (edited.folder / KOLEN_POLLACK).read_text()
    assert text.startswith('"""')
    text = '"""Another word. ' + text.removeprefix('"""') + "\n\n# A comment.\n"
    (edited.folder / KOLEN_POLLACK).write_text(text)
    assert edited.planned("tiny") == Counter()


def test_one_arm_of_an_experiment_reruns_that_experiment_alone(edited):
    file = "replications/tiny/experiments.yaml"
    edited.edit(file, "backprop: {rule: backprop}", "backprop: {rule: backprop, probe: 64}")
    assert simulated(edited) == {"tiny: line"}


def test_another_title_lays_the_page_that_shows_it_out_again_and_computes_nothing(edited):
    edited.edit("replications/tiny/experiments.yaml", "title: A linear net", "title: Some net")
    # The check reads what is declared, to hold it to what was accepted.
    assert edited.planned("tiny") == Counter(summarize=1, check=1, tiny=1, **OF_ALL)


def test_a_published_number_is_judged_drawn_and_laid_out_again_and_trains_nothing(edited):
    append(edited, "replications/tiny/published.yaml", "# A comment.\n")
    planned = edited.planned("tiny")
    assert planned == Counter(judge=1, check=1, plot=2, summarize=1, tiny=1, **OF_ALL)


def test_a_finished_run_that_is_moved_elsewhere_stays_finished(ran, tmp_path):
    assert ran.copy(tmp_path / "elsewhere").planned("tiny") == Counter()


def test_a_new_style_draws_again_and_computes_nothing(edited):
    append(edited, "figures/style.py", "\nUNUSED = 1\n")
    # The check draws the pictures of README again; the pages know of figures by their names.
    assert edited.planned("tiny") == Counter(plot=2, check=1, summarize=1, tiny=1, **OF_ALL)


def test_a_changed_claim_is_judged_again_and_nothing_else_runs(edited):
    edited.edit("replications/tiny/claims.yaml", "below: 100", "below: 99")
    assert edited.planned("tiny") == Counter(judge=1, check=1, tiny=1, **OF_ALL)


def test_a_changed_accepted_verdict_is_checked_again_and_nothing_else_runs(edited):
    accepted = "replications/tiny/accepted/quick/claims.csv"
    edited.edit(accepted, "reproduced", "not reproduced")
    assert edited.planned("tiny") == Counter(check=1, tiny=1, **OF_ALL)


def test_what_was_accepted_since_stands_on_the_page_of_all_verdicts(edited):
    page = ["results/quick/claims.html", "--config", "papers=[tiny]"]
    edited.run(*page)
    assert edited.planned(*page) == Counter()
    for file in (edited.folder / "replications/tiny/accepted/quick").glob("*.first_losses.csv"):
        file.write_text(file.read_text() + "\n")
    assert edited.planned(*page) == Counter(verdicts=1)


def test_a_config_that_asks_for_one_more_format_draws_again(edited):
    edited.edit("workflow/config.yaml", "[svg, pdf, png]", "[svg, png]")
    assert edited.planned("tiny") == Counter(plot=2, tiny=1)


def test_another_machines_profile_keeps_what_was_computed(edited):
    assert edited.planned("tiny", "--profile", "workflow/profiles/gpu") == Counter()
