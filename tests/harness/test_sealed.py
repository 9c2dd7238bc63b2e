"""What carries its sha256 reads back as it was written there, or is refused in one line."""

import json

import pytest

from replications.harness import sealed
from replications.harness.errors import UserError


def refusal(read, file):
    with pytest.raises(UserError) as caught:
        read(file, "make it again")
    assert str(caught.value).startswith(f"{file}: ")
    assert str(caught.value).endswith("; make it again")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def files(tmp_path):
    text, data = (tmp_path / f"quick/toy/{name}" for name in ("t.csv", "c.json"))
    sealed.write_text(text, "a,b\n1,2\n")
    sealed.write_json(data, {"claims": [{"id": "T1", "estimate": 0.1}], "numbers": []})
    return text, data


def test_it_reads_back_wherever_the_folder_of_results_is_moved(files, tmp_path):
    (tmp_path / "quick").rename(tmp_path / "other")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "other").rename(tmp_path / "elsewhere/quick")
    moved = tmp_path / "elsewhere/quick/toy"
    assert sealed.read_text(moved / "t.csv", "") == "a,b\n1,2\n"
    assert sealed.read_json(moved / "c.json", "")["claims"][0]["estimate"] == 0.1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda data: data.replace(b"1,2", b"1,3"), "damaged or another's"),
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: b"", "cut off"),
        (lambda data: b"\xff" + data, "no UTF-8 text at byte 0"),
    ],
)
def test_a_text_that_is_another_is_refused(files, change, line):
    files[0].write_bytes(change(files[0].read_bytes()))
    assert line in refusal(sealed.read_text, files[0])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda data: data.replace(b"0.1", b"0.2"), "damaged or another's"),
        (lambda data: data[: len(data) // 2], "damaged (JSONDecodeError"),
        (lambda data: b"", "damaged (JSONDecodeError"),
        (lambda data: b"\xff" + data, "damaged (UnicodeDecodeError"),
        (lambda data: b"[]", "damaged (TypeError"),
        (lambda data: b"{}", "damaged (KeyError"),
    ],
)
def test_json_that_is_another_is_refused(files, change, line):
    files[1].write_bytes(change(files[1].read_bytes()))
    assert line in refusal(sealed.read_json, files[1])


@pytest.mark.parametrize("place", ["quick/toy/u.csv", "quick/tiny/t.csv", "full/toy/t.csv"])
def test_a_file_in_the_place_of_another_is_refused(files, tmp_path, place):
    other = tmp_path / place
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_bytes(files[0].read_bytes())
    assert "another's" in refusal(sealed.read_text, other)


def test_json_stays_json_with_one_key_more(files):
    assert set(json.loads(files[1].read_text())) == {"claims", "numbers", "sha256"}
