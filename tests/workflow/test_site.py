"""The documentation: built once whole, as a user reads it, and by its rule."""

import re
import subprocess
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

import bioflax
from workflow.site import colab

BLANK = (
    "---\njupytext:\n  text_representation: {format_name: myst}\nkernelspec: {name: python3}\n---\n"
)
NOTEBOOKS = [page for page in colab.PAGES if page.parent.name == "notebooks"]
# Pages that run, as stubs: what is tested is the rule.
STUBS = {
    "extend": "# Add a rule, add a paper\n",
    "limits": "# Known limits\n",
    "rules": "# Which rule when\n",
    "start": "# Start\n",
    "diagnostics": "# Why\n",
    "recipes": "# Recipes\n",
    **{f"notebooks/{page.stem}": "# One\n" for page in NOTEBOOKS},
    "tutorial": f"{BLANK}# A tutorial\n\n```{{code-cell}} ipython3\nprint(6 * 7)\n```\n",
}


@pytest.fixture(scope="module")
def site(clone, tmp_path_factory):
    """The folder of the whole site."""
    made = clone.copy(tmp_path_factory.mktemp("site") / "bioflax")
    made.run("site", cores=1)
    return made.folder / "results/site"


@pytest.fixture(scope="module")
def built(clone, tmp_path_factory):
    """A checkout with a site of stubs."""
    made = clone.copy(tmp_path_factory.mktemp("stubs") / "bioflax")
    for name, text in STUBS.items():
        (made.folder / f"workflow/site/{name}.md").write_text(text)
    made.run("site", cores=1)
    return made


class Links(HTMLParser):
    """The anchors of a page; what it links to; what a browser would load to show it."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a":
            self.links += [found["href"]] if "href" in found else []
        else:
            self.loads += [found[name] for name in ("href", "src") if name in found]


@pytest.fixture(scope="module")
def parsed(site):
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path: Links(path.read_text()) for path in pages}


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(site, parsed):
    inside = 0
    for path, page in parsed.items():
        for link in page.links:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                assert to.scheme in ("http", "https"), f"{path}: {link}"
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            assert target.is_file(), f"{path}: {link}"
            if to.fragment and target in parsed:
                assert unquote(to.fragment) in parsed[target].anchors, f"{path}: {link}"
            inside += 1
    assert inside > 500


def test_a_page_loads_nothing_from_elsewhere(parsed):
    for path, page in parsed.items():
        for load in page.loads:
            to = urlsplit(load)
            assert to.scheme in ("", "data"), f"{path}: {load}"
            assert not to.netloc, f"{path}: {load}"
            if not to.scheme and to.path:
                assert (path.parent / unquote(to.path)).is_file(), f"{path}: {load}"


def test_every_public_name_can_be_found(site, parsed):
    anchors = set.union(
        *(page.anchors for path, page in parsed.items() if path.parent.name == "api")
    )
    assert {f"bioflax.{name}" for name in bioflax.__all__} <= anchors
    index = (site / "searchindex.js").read_text()
    assert all(f'"{name}"' in index for name in bioflax.__all__)


def test_the_tutorial_shows_what_it_prints_and_draws(site):
    text = (site / "tutorial.html").read_text()
    assert re.search(r"left of the gap: 0\.\d{4}", text)
    assert len(re.findall(r'<img [^>]*src="_images/[^"]*\.(?:png|svg)"', text)) == 2
    assert "# What the text says" not in text
    for page in colab.PAGES:
        assert [*(site / "_downloads").rglob(f"{page.stem}.ipynb")]


def test_equations_are_drawn_without_a_script(site):
    text = (site / "rules.html").read_text()
    assert "<math" in text
    assert not re.search(r"<script[^>]*mathjax", text, re.IGNORECASE)


# The rule.


def test_the_site_is_no_part_of_the_default_target(clone, planned):
    assert clone.planned("site") == Counter(site=1)
    assert planned["site"] == 0


def test_the_rule_builds_into_ignored_folders_and_leaves_nothing_else(built):
    assert "<span></span>42" in (built.folder / "results/site/tutorial.html").read_text()
    assert {path.name for path in (built.folder / "results").iterdir()} == {"site", "site.log"}
    status = ["git", "status", "--porcelain"]
    done = subprocess.run(status, cwd=built.folder, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()[1::2]) == [
        f"workflow/site/{name}.md" for name in sorted(STUBS)
    ]


def test_a_second_build_does_nothing_and_a_docstring_asks_for_one(built, tmp_path):
    assert built.planned("site") == Counter()
    edited = built.copy(tmp_path / "bioflax")
    edited.edit("bioflax/__init__.py", "Biologically plausible", "Plausible")
    assert edited.planned("site") == Counter(site=1)


def test_a_link_to_nowhere_and_a_cell_that_fails_are_named(built, tmp_path):
    edited = built.copy(tmp_path / "bioflax")
    edited.edit("workflow/site/index.md", "(numbers.md)", "(number.md)")
    edited.edit("workflow/site/tutorial.md", "print(6 * 7)", "assert 6 * 7 == 43")
    ended = edited.snakemake("site", "--cores", "1")
    assert ended.status != 0
    assert "index.md:" in ended.said
    assert "target not found: 'number.md'" in ended.said
    assert "tutorial.md: WARNING" in ended.said
    assert "AssertionError" in ended.said
