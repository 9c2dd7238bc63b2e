"""Tables of Markdown, and the parts of a file that are generated."""

import markdown_it
import pytest

from replications.harness.errors import UserError
from replications.harness.showing import markdown

TEXT = "before\n<!-- a: begin -->\nold\n<!-- a: end -->\nbetween\n<!-- b: begin -->\n<!-- b: end -->\nafter\n"


def cells(text):
    """The cells of a table as a reader of Markdown sees them, row by row."""
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(text)
    found = []
    for i, token in enumerate(tokens):
        if token.type == "tr_open":
            found.append([])
        if token.type in ("th_open", "td_open"):
            found[-1].append(tokens[i + 1].content)
    return found


def test_a_table_is_read_back_as_it_was_meant():
    rows = [["1", "|x| < 2"], ["", "a | b"]]
    assert cells(markdown.table(["n", "c"], rows)) == [["n", "c"], *rows]


def test_a_table_of_no_rows_has_its_heads():
    assert cells(markdown.table(["n", "c"], [])) == [["n", "c"]]


def test_a_bar_in_a_cell_opens_no_cell():
    assert markdown.row(["a|b", "c"]) == "| a\\|b | c |"


def test_what_stands_between_the_markers_is_new_and_nothing_else():
    found = markdown.filled(TEXT, {"b": "two\nlines", "a": "one"}, "there")
    assert found == (
        "before\n<!-- a: begin -->\none\n<!-- a: end -->\nbetween\n"
        "<!-- b: begin -->\ntwo\nlines\n<!-- b: end -->\nafter\n"
    )
    assert markdown.filled(found, {"b": "two\nlines", "a": "one"}, "there") == found


@pytest.mark.parametrize(
    "text", ["none", "<!-- a: begin -->\n", "<!-- a: end -->\n<!-- a: begin -->\n"]
)
def test_markers_that_are_missing_or_the_wrong_way_round_are_named(text):
    with pytest.raises(UserError, match=r"^there: no lines '<!-- a: begin -->' and '<!-- a: end"):
        markdown.filled(text, {"a": "x"}, "there")


def test_a_file_is_renewed_and_then_true(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(TEXT, encoding="utf-8")
    assert not markdown.fill(file, {"a": "✔"}, check=True)
    assert file.read_text(encoding="utf-8") == TEXT, "to check writes nothing"
    assert not markdown.fill(file, {"a": "✔"})
    assert file.read_text(encoding="utf-8") == TEXT.replace("old", "✔")
    assert markdown.fill(file, {"a": "✔"}, check=True)


def test_a_file_that_lacks_a_marker_stays_as_it_was(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(TEXT)
    with pytest.raises(UserError, match=r"README\.md: no lines '<!-- c: begin"):
        markdown.fill(file, {"a": "new", "c": "new"})
    assert file.read_text() == TEXT
    assert list(tmp_path.iterdir()) == [file]
