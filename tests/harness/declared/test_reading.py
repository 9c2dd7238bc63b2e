"""Files that are no YAML, or say a thing twice, are one clear line."""

import pytest

from replications.harness.declared.reading import Strict, check_name, parse, read_yaml
from replications.harness.errors import UserError


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3 not valid YAML: the key 'a' stands twice"),
        (b"a:\n  b: {c: 1, c: 2}\n", "line 2 not valid YAML: the key 'c' stands twice"),
        (b"- {x: 1}\n- {y: 1, y: 1}\n", "line 2 not valid YAML: the key 'y' stands twice"),
        ("title: Nøkland".encode("latin-1"), "not UTF-8 text (byte 8)"),
        (b"a: [1, 2", "not valid YAML"),
        (b"a: 2020-13-45", "not valid YAML"),
        (b"a: !!python/object:os.system x", "not valid YAML"),
        (b"a: *b", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_line_that_names_it(tmp_path, content, line):
    file = tmp_path / "experiments.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_yaml(file)
    assert str(caught.value).startswith(f"{file}:")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"claims\.yaml: no such file"):
        read_yaml(tmp_path / "claims.yaml")


def test_what_a_merge_brings_may_be_said_again(tmp_path):
    """The same key once from ``<<`` and once by itself: the way in which YAML says what differs."""
    file = tmp_path / "claims.yaml"
    file.write_text("- &one {a: 1, b: 2}\n- {<<: *one, a: 3}\n")
    assert read_yaml(file) == [{"a": 1, "b": 2}, {"a": 3, "b": 2}]


@pytest.mark.parametrize("name", ["w_0.0001", "3x400", "a-b", "A", "nullable"])
def test_names_of_letters_digits_and_a_few_signs_are_names(name):
    check_name(name, "arm")


@pytest.mark.parametrize("name", ["", "..", "../x", "/x", "x/y", "null", "Null", "nan", "ä", "x\n"])
def test_what_is_no_name_of_a_file_or_column_is_refused(name):
    with pytest.raises(ValueError, match="a name is letters, digits"):
        check_name(name, "arm")


class Point(Strict):
    """A record of the tests."""

    x: float
    name: str = ""


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"x": 1.0, "nmae": "a"}, "unknown key 'nmae' (value 'a'); did you mean 'name'?"),
        ({"x": "1"}, "x: '1' is wrong: input should be a valid number"),
        ({}, "missing key 'x'"),
        (None, "None is wrong"),
        # An unknown key is the likeliest cause of whatever else is wrong beside it.
        ({"y": 1.0}, "unknown key 'y'"),
    ],
)
def test_what_a_record_cannot_be_made_of_is_one_line(data, line):
    with pytest.raises(UserError) as caught:
        parse(Point, data, "here")
    assert str(caught.value).startswith("here: ")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
