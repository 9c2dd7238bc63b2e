"""Results against accepted ones: what the rule ``check`` of the workflow runs.

    python -m pytest -c tests/regression/pytest.ini tests/regression/check_accepted.py --paper PAPER

A plain ``pytest`` does not collect this: it needs results, and fails without them.
"""

import pytest

from replications.harness.errors import UserError
from replications.harness.judging import drift, verdicts


def test_no_number_moved(experiment, kind, asked, dataframe_regression):
    where = (asked.paper, asked.preset, experiment, asked.store)
    file = asked.store.kept(asked.paper, asked.preset, experiment, kind)
    try:
        before = drift.accepted_numbers(kind, *where)
    except UserError:
        # pytest-regressions would create it.
        pytest.fail(
            f"nothing accepted: {file.name}; see the numbers and accept them: {asked.renew}", False
        )
    try:
        now = drift.measured(kind, *where)
    except UserError as error:
        pytest.fail(str(error), pytrace=False)
    allowed = drift.tolerances(kind, before)
    moved = drift.differences(before, now, allowed)
    same_form = set(before.index) == set(now.index) and set(before.columns) == set(now.columns)
    if same_form and file.is_file():
        now = now.loc[before.index, before.columns]
        try:
            dataframe_regression.check(now, fullpath=file, tolerances=allowed)
        except AssertionError as error:
            # Named rows say more than its table; should the two ever disagree, its word stands.
            moved = moved or [str(error)]
    if moved:
        lines = [f"{experiment}, {kind}:", *moved, f"renew: {asked.renew}"]
        pytest.fail("\n".join(lines), pytrace=False)


def test_nothing_accepted_is_of_no_experiment(asked):
    names = drift.guarded(asked.paper, asked.preset, asked.preset == "full", asked.store)
    stale = [file.name for file in drift.outlived(asked.paper, asked.preset, names, asked.store)]
    if stale:
        pytest.fail(
            f"accepted, but of no experiment: {', '.join(stale)}; renew: {asked.renew}", False
        )


def test_no_accepted_cell_has_another_spec(asked):
    names = asked.names if asked.accepted else []
    moved = drift.other_specs(asked.paper, names, asked.store)
    if moved:
        pytest.fail(f"accepted under another spec: {', '.join(moved)}; renew: {asked.renew}", False)


def test_no_verdict_fell(asked, record_property):
    accepted = drift.accepted_verdicts(asked.paper, asked.preset, asked.store)
    try:
        judged = verdicts.read_verdicts(asked.paper, asked.preset, asked.store)
    except UserError as error:
        pytest.fail(str(error), pytrace=False)
    if not accepted:
        pytest.fail(f"no accepted verdicts; see them and accept them: {asked.renew}", False)
    changes = drift.verdict_changes(accepted, verdicts.by_id(judged))
    if changes.fell:
        pytest.fail("\n".join([*changes.fell, f"renew: {asked.renew}"]), pytrace=False)
    for line in changes.rose:
        record_property("told", line)
