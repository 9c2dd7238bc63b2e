"""Results against accepted numbers, for ``python -m replications check``.

A plain ``pytest`` does not collect this: it needs results, and fails without them.
"""

import itertools
from pathlib import Path

import pytest

from replications import baselines
from replications.errors import UserError


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "experiment" in metafunc.fixturenames:
        option = metafunc.config.getoption
        kinds = list(filter(None, option("--kinds").split(",")))
        pairs = itertools.product(option("--experiments").split(","), kinds)
        metafunc.parametrize(("experiment", "kind"), list(pairs))


@pytest.fixture
def folders(request: pytest.FixtureRequest) -> tuple[Path, Path, str]:
    """Of results, of baselines, and the command that renews them."""
    option = request.config.getoption
    return Path(option("--results")), Path(option("--baselines")), option("--renew")


def test_no_number_moved(experiment, kind, folders, dataframe_regression):
    results, accepted, renew = folders
    file = accepted / f"{experiment}.{kind}.csv"
    if not file.is_file():
        # pytest-regressions would create it.
        pytest.fail(f"no baseline {file.name}; see the numbers and accept them: {renew}", False)
    try:
        now = baselines.measured(kind, results, experiment)
    except UserError as error:
        pytest.fail(str(error), pytrace=False)
    before = baselines.read(file)
    allowed = baselines.tolerances(kind, before)
    moved = baselines.differences(before, now, allowed)
    if set(before.index) == set(now.index) and set(before.columns) == set(now.columns):
        now = now.loc[before.index, before.columns]
        try:
            dataframe_regression.check(now, fullpath=file, tolerances=allowed)
        except AssertionError as error:
            # Named rows say more than its table; should the two ever disagree, its word stands.
            moved = moved or [str(error)]
    if moved:
        pytest.fail("\n".join([f"{experiment}, {kind}:", *moved, f"renew: {renew}"]), pytrace=False)


def test_no_baseline_outlives_its_experiment(folders, request):
    _, accepted, renew = folders
    names = request.config.getoption("--experiments").split(",")
    stale = [file.name for file in baselines.outlived(accepted, names)]
    if stale:
        pytest.fail(f"baselines of no experiment: {', '.join(stale)}; renew: {renew}", False)


def test_no_verdict_fell(folders):
    results, accepted, renew = folders
    try:
        judged = baselines.judged_verdicts(results)
    except UserError as error:
        pytest.fail(str(error), pytrace=False)
    if not (accepted / "claims.csv").is_file():
        pytest.fail(f"no baseline claims.csv; see the verdicts and accept them: {renew}", False)
    fell = baselines.verdict_changes(baselines.accepted_verdicts(accepted), judged).fell
    if fell:
        pytest.fail("\n".join([*fell, f"renew: {renew}"]), pytrace=False)
