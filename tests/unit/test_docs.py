"""The documentation: all code in it runs, the tutorial says what comes out, every link leads somewhere."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jax.numpy as jnp
import pytest

import bioflax
from replications.harness.showing import readme
from replications.harness.declared import spec
from replications.harness.errors import UserError
from workflow.scripts import docs

ALONE = [source for source in docs.pages() if source not in (docs.LIBRARY, docs.TUTORIAL)]
BLOCKS = [
    pytest.param(code, id=f"{source.relative_to(docs.ROOT)}-{number}")
    for source in ALONE
    for number, code in enumerate(docs.PYTHON.findall(source.read_text()), 1)
]


@pytest.mark.parametrize("code", BLOCKS)
def test_every_block_of_code_runs_by_itself(code):
    exec(compile(code, "a block", "exec"), {"__name__": "block"})


def test_every_block_of_code_says_its_language_and_python_is_never_called_otherwise():
    for source in [*ALONE, docs.TUTORIAL]:
        fences = re.findall(r"^ *```(\S*)$", source.read_text(), re.MULTILINE)
        assert set(fences[::2]) <= {"python", "sh"}
        assert set(fences[1::2]) <= {""}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the whole site, and what the tutorial's code leaves behind."""
    folder = tmp_path_factory.mktemp("docs")
    return folder, docs.build(folder)


class Links(HTMLParser):
    """The anchors of a page; what it links to; what a browser would load to show it."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.code = {"style": "", "script": ""}
        self.inside = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag != "a":
            self.loads += [found[name] for name in ("href", "src") if name in found]

    def handle_data(self, data):
        if self.inside in self.code:
            self.code[self.inside] += data


@pytest.fixture(scope="module")
def parsed(site):
    folder, _ = site
    return {path.name: Links(path) for path in folder.glob("*.html")}


def test_there_is_a_page_for_every_source_and_each_links_to_all(parsed):
    files = {page.file for page in docs.pages().values()}
    assert set(parsed) == files
    assert len(files) == len(spec.papers()) + 6
    assert all(files <= set(page.links) for page in parsed.values())


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(parsed):
    inside = 0
    for name, page in parsed.items():
        for link in page.links:
            to = urlsplit(link)
            if to.scheme in ("http", "https"):
                continue
            assert not to.scheme, f"{name}: {link}"
            assert not to.netloc, f"{name}: {link}"
            target = to.path or name
            assert target in parsed, f"{name}: {link}"
            assert not to.fragment or unquote(to.fragment) in parsed[target].anchors, (
                f"{name}: {link}"
            )
            inside += 1
    assert inside > 200


def test_a_page_loads_nothing_from_elsewhere(site, parsed):
    folder, _ = site
    for name, page in parsed.items():
        for load in page.loads:
            assert load.startswith("data:") or (folder / load).is_file(), f"{name}: {load}"
        style, script = page.code["style"], page.code["script"]
        assert "@import" not in style
        assert all(
            url.strip("'\"").startswith("data:") for url in re.findall(r"url\((.+?)\)", style)
        )
        # The search index is the one thing that a script fetches.
        assert re.findall(r"\.src = (.*);", script) == ['"search.js"']
        assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\(", script)
    assert (folder / "search.js").is_file()


def test_the_librarys_page_and_the_front_page_have_every_public_name(parsed):
    assert set(bioflax.__all__) <= parsed["bioflax.html"].anchors
    links = {f"bioflax.html#{name}" for name in bioflax.__all__}
    assert links <= set(parsed["index.html"].links)


def test_the_front_page_shows_the_picture_of_every_paper_and_so_does_its_own(parsed):
    for paper in spec.papers():
        first = next(picture.file for picture in readme.pictures(paper) if picture.file.exists())
        name = "-".join(first.relative_to(spec.HERE.parent).parts)
        assert name in parsed["index.html"].loads
        assert name in parsed[f"{paper}.html"].loads


def test_the_tutorial_shows_what_it_prints_and_draws(site, parsed):
    folder, _ = site
    text = (folder / "tutorial.html").read_text()
    assert re.search(r'<pre class="output">.*left of the gap: 0\.\d{4}', text, re.DOTALL)
    drawn = [load for load in parsed["tutorial.html"].loads if load.endswith(".svg")]
    assert len(drawn) == 2
    assert all("<svg" in (folder / name).read_text() for name in drawn)


def test_a_link_to_nowhere_is_refused_and_one_to_a_file_that_is_no_page_is_plain_text(tmp_path):
    readme = docs.ROOT / "README.md"
    with pytest.raises(UserError, match=r"README\.md links to 'nowhere\.md'"):
        docs.linked("[there](nowhere.md)", readme, tmp_path)
    text = "[a](LICENSE) [b](CONTRIBUTING.md#checks) [c](https://example.org) [d](#cite)"
    text += "\n```python\nnames[a](nowhere)\n```\n"
    assert docs.linked(text, readme, tmp_path) == text.replace("[a](LICENSE)", "a").replace(
        "CONTRIBUTING.md", "contributing.html"
    )


# What bioflax/tutorial.md says comes out.

STEM, LAST = "stem/conv", "blocks/1/conv2"
BETWEEN = ["blocks/0/conv1", "blocks/0/conv2", "blocks/1/conv1"]
LAYERS = [STEM, *BETWEEN, LAST]


@pytest.fixture(scope="module")
def results(site):
    _, left = site
    return left["results"]


def deltas(results, name):
    return results[name][2].deltas


def test_every_rule_learns_and_kolen_pollack_about_as_fast_as_backprop(results):
    for losses, accuracy, _ in results.values():
        assert losses[-10:].mean() < losses[:10].mean() / 2
        assert accuracy > 0.7
    accuracy = {name: float(result[1]) for name, result in results.items()}
    assert accuracy["backprop"] > 0.92
    assert accuracy["Kolen-Pollack"] > 0.9
    assert accuracy["feedback alignment"] < accuracy["direct feedback"] < accuracy["backprop"]
    assert accuracy["feedback alignment"] < accuracy["Kolen-Pollack"]


@pytest.mark.parametrize("name", ["feedback alignment", "Kolen-Pollack"])
def test_error_signals_start_orthogonal_to_those_of_backprop(results, name):
    starts = jnp.array([deltas(results, name)[layer][0] for layer in LAYERS])
    assert jnp.abs(starts - 90).max() < 15


@pytest.mark.parametrize("name", ["feedback alignment", "Kolen-Pollack", "direct feedback"])
def test_the_error_of_the_readout_is_that_of_the_loss_under_every_rule(results, name):
    readout = "readout/linear" if name == "direct feedback" else "head/linear"
    assert deltas(results, name)[readout].max() < 0.1


def test_the_forward_weights_of_the_readout_turn_towards_the_fixed_feedback(results):
    angles = results["feedback alignment"][2].weights["head/linear"]
    assert angles[0] > 75
    assert angles[-1] < 60


def test_the_nearer_the_output_the_better_the_errors_of_feedback_alignment(results):
    ends = {
        layer: float(angles[-1]) for layer, angles in deltas(results, "feedback alignment").items()
    }
    assert ends[LAST] < 60
    assert 70 < ends[STEM] < 90
    assert all(ends[LAST] < ends[layer] < ends[STEM] for layer in BETWEEN)


def test_the_angles_of_kolen_pollack_fall_below_those_of_feedback_alignment(results):
    for layer in LAYERS:
        angles = deltas(results, "Kolen-Pollack")[layer]
        assert angles[-1] < 30
        assert angles[-1] < deltas(results, "feedback alignment")[layer][-1]


def test_the_gap_of_kolen_pollack_shrinks_by_the_law_alone(site):
    _, left = site
    assert left["left"] == pytest.approx(float(left["law"]), rel=1e-3)
    assert 0.1 < left["law"] < 0.3


def test_direct_feedback_is_nearest_to_backprop_in_the_last_block(results):
    ends = {
        layer: float(angles[-1]) for layer, angles in deltas(results, "direct feedback").items()
    }
    assert ends["blocks/2/conv1"] < 60
    assert ends["blocks/2/conv2"] < 60
    assert ends["blocks/0/conv"] > 70
