"""Results against accepted ones: what the rule ``check`` of the workflow runs.

    python -m pytest -c tests/regression/pytest.ini tests/regression/check_accepted.py --paper PAPER

Everything derived is derived again: tables from runs, aggregates and verdicts from tables or kept records,
README and its pictures from what was accepted. A plain ``pytest`` does not collect this: it needs results,
and fails without them.
"""

import numpy as np
import pytest

from replications.harness.errors import UserError
from replications.harness.judging import accepted_verdicts, drift, manifests, verdicts
from replications.harness.showing import plotting, readme
from replications.harness.store import PAPERS, ROOT


def fail(asked, lines):
    """Red, with the lines and the way out."""
    pytest.fail(f"{manifests.names_of(lines)}\nrenew: {asked.renew}", pytrace=False)


@pytest.fixture(autouse=True)
def one_line():
    """What a user can mend is a line, and no traceback."""
    try:
        yield
    except UserError as error:
        pytest.fail(str(error), pytrace=False)


def test_no_number_moved(experiment, kind, asked, dataframe_regression):
    where = (asked.paper, asked.preset, experiment, asked.store)
    if kind == "fingerprints" and experiment not in asked.unproven:
        return  # the code and the versions are those with which it was last seen to stand
    file = asked.store.kept(asked.paper, asked.preset, experiment, kind)
    try:
        before = drift.accepted_numbers(kind, *where)
        now = drift.measured(kind, *where)
    except UserError as error:
        # pytest-regressions would create what is missing.
        known = file.exists() or (kind, asked.preset) == ("aggregates", "full")
        said = str(error) if known else f"nothing accepted: {file.name}"
        pytest.fail(f"{said}; see the numbers and accept them: {asked.renew}", pytrace=False)
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
        fail(asked, [f"{experiment}, {kind}:", *moved])


def test_nothing_accepted_is_of_no_experiment(asked):
    names = drift.guarded(asked.paper, asked.preset, asked.preset == "full", asked.store)
    stale = [file.name for file in drift.outlived(asked.paper, asked.preset, names, asked.store)]
    if stale:
        fail(asked, [f"accepted, but of no experiment: {', '.join(stale)}"])


def test_no_accepted_cell_has_another_spec(asked):
    moved = drift.other_specs(asked.paper, asked.preset, asked.names, asked.store)
    if moved:
        fail(asked, [f"accepted under another spec: {', '.join(moved)}"])


def test_what_was_accepted_still_says_so(asked):
    if not asked.store.accepted(asked.paper, asked.preset).is_dir():
        pytest.fail(f"nothing accepted; see the numbers and accept them: {asked.renew}", False)
    if edited := manifests.damage(asked.paper, asked.preset, asked.store):
        pytest.fail(f"{manifests.names_of(edited)}\ntake it back from git", pytrace=False)


def test_claims_and_published_numbers_are_those_accepted(asked):
    if other := manifests.other_declarations(asked.paper, asked.preset, asked.store):
        fail(asked, other)


def test_tables_are_those_of_their_runs(asked):
    names = [] if asked.accepted else asked.names
    stale = drift.stale_tables(asked.paper, asked.preset, names, asked.store)
    if stale:
        pytest.fail(manifests.names_of(stale), pytrace=False)


def test_no_verdict_fell(asked, record_property):
    accepted = drift.accepted_verdicts(asked.paper, asked.preset, asked.store)
    judged = verdicts.read_verdicts(asked.paper, asked.preset, asked.store)
    if not accepted:
        pytest.fail(f"no accepted verdicts; see them and accept them: {asked.renew}", False)
    changes = drift.verdict_changes(accepted, verdicts.by_id(judged))
    if changes.fell:
        fail(asked, changes.fell)
    for line in changes.rose:
        record_property("told", line)


def test_verdicts_are_those_of_the_numbers(asked):
    where = (asked.paper, asked.preset)
    read = verdicts.tables(*where, asked.store, asked.accepted)
    derived = verdicts.judge_tables(*where, read, asked.store)
    judged = verdicts.read_verdicts(*where, asked.store)
    if stale := drift.stale_verdicts(judged, derived):
        pytest.fail(f"{manifests.names_of(stale)}; judge again", pytrace=False)
    kept = asked.names if asked.accepted else []
    accepted = drift.accepted_verdicts(*where, asked.store)
    whole = accepted_verdicts.judged_as_accepted(*where, asked.store)
    lines = drift.other_verdicts(accepted, derived, kept)
    lines += drift.other_accounts(whole, derived, kept)
    if dict(verdicts.by_id(whole)) != accepted:
        lines.append("claims.csv and verdicts.json have other verdicts")
    if lines:
        fail(asked, lines)


def test_readme_shows_what_was_accepted(asked):
    if asked.store.papers != PAPERS:
        pytest.skip("another folder of papers, of which no README tells")
    stale = readme.write_pages(asked.store, check=True, papers=[asked.paper])
    front = ROOT / "README.md"
    shown = f"replications/{asked.paper}/README.md" in front.read_text(encoding="utf-8")
    if shown and not readme.write(front, check=True, store=asked.store):
        stale.append(front.name)
    if stale:
        lines = f"not as accepted: {', '.join(stale)}; run `python -m replications readme`"
        pytest.fail(lines, pytrace=False)


def test_pictures_are_of_these_numbers(asked, tmp_path):
    if asked.store.papers != PAPERS:
        pytest.skip("another folder of papers, of which no README tells")
    for picture in readme.pictures(asked.paper, asked.store):
        if picture.preset == asked.preset and picture.file.exists():
            tables = plotting.tables_of(
                asked.paper, picture.name, asked.preset, asked.store, asked.accepted
            )
            drawn = tmp_path / picture.file.name
            plotting.save(plotting.draw(asked.paper, picture.name, tables, asked.store), drawn)
            if said := unlike(picture.file, drawn, exact=asked.accepted):
                pytest.fail(f"{picture.file}: {said}; run `python -m replications readme`", False)


def unlike(kept, drawn, exact):
    """What is different in two pictures; nothing where they show the same.

    The same numbers under the same Matplotlib give the same pixels, whatever compressed them. Another
    Matplotlib sets letters otherwise, and a quick run's late records are another processor's: there
    the pictures are to be alike, which a curve or a table of other numbers is not.
    """
    from PIL import Image

    if kept.read_bytes() == drawn.read_bytes():
        return ""
    a, b = Image.open(kept), Image.open(drawn)
    same_software = a.info.get("Software") == b.info.get("Software")
    if a.size != b.size:
        return f"{a.size[0]} x {a.size[1]} pixels, of these numbers {b.size[0]} x {b.size[1]}"
    pixels = [np.asarray(one.convert("RGB"), np.int16) for one in (a, b)]
    far = np.abs(pixels[0] - pixels[1]).max(axis=-1) > FAR
    most = 0.0 if exact and same_software else ALIKE
    if far.mean() > most:
        return f"{far.sum()} pixels of {far.size} are not those of these numbers"
    return ""


# A pixel is another one where a colour differs by more of 255, and pictures are alike where no more of them do.
FAR, ALIKE = 8, 0.02
