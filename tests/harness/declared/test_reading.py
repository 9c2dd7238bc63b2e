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
        (b"a: !!python/object:os.system x", "not valid YAML"),
        (b"a: *b", "not valid YAML"),
        (b"a: !!timestamp x", "line 1 not valid YAML: could not determine a constructor"),
        (b"a: !!binary x", "not valid YAML"),
        (b"a: !!set {b}", "not valid YAML"),
        (b"a: !!bool x", "not valid YAML"),
        (b"a: !!int x", "not valid YAML"),
        (b"a: " + b"1" * 5000, "not valid YAML: Exceeds the limit"),
        (b"a: &b [*b]", "too deep, or a part that holds itself"),
        (b"[" * 500 + b"]" * 500, "too deep"),
        (b"? [a, b]\n: c", "not valid YAML"),
        (b'a: "\\ud800"', "not valid YAML"),
        (b"a: \x00", "not valid YAML: unacceptable character"),
        ("a: ä".encode("utf-16"), "not UTF-8 text (byte 0)"),
        (b"", "the file is empty"),
        (b"# nothing\n", "the file is empty"),
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


def test_a_date_is_the_text_that_it_is(tmp_path):
    file = tmp_path / "claims.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 2020-01-01\nb: 2020-13-45\nc: 2020-01-01 10:00:00\n")
    assert read_yaml(file) == {"a": "2020-01-01", "b": "2020-13-45", "c": "2020-01-01 10:00:00"}


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
        ({"x": "1e-2"}, "x: '1e-2' is wrong: input should be a valid number; write 1.0e-2"),
        ({"x": "1.5e3"}, "write 1.5e+3"),
        ({"x": 1.0, "name": 1}, "name: 1 is wrong: input should be a valid string"),
        ({"x": 1.0, "name": ["a\nb" * 999]}, "... is wrong"),
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
