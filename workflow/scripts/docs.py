"""The documentation site: ``python -m workflow.scripts.docs FOLDER``.

pdoc's page of the library, and one page for each of the Markdown files, which pdoc takes as the
docstring of a module that has nothing else. The tutorial is run, and shows what it prints and draws.
"""

import inspect
import io
import re
import shutil
import sys
from contextlib import redirect_stdout
from functools import partial
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import matplotlib
import pdoc

matplotlib.use("Agg")
from matplotlib import pyplot

import bioflax
from replications import readme, spec
from replications.errors import UserError

ROOT = Path(__file__).parents[2]
LIBRARY, TUTORIAL = ROOT / "bioflax/__init__.py", ROOT / "bioflax/tutorial.md"
FRONT = ROOT / "workflow/docs/index.md"

# What pdoc makes of the annotation jax.Array, between the tags of its colours.
ARRAY = re.compile(r"jaxlib<[^>]+><[^>]+>\.<[^>]+><[^>]+>_jax<[^>]+><[^>]+>\.<[^>]+><[^>]+>Array")
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = r"!\[[^\]]*\]\([^)]*\)"
# A link; its text may have a picture in it.
LINK = re.compile(rf"(!?)\[((?:{PICTURE}|[^\[\]])*)\]\(([^)\s]+)\)")


class Page(NamedTuple):
    """``file``: its name in the site. ``title``: in the list beside every page."""

    file: str
    title: str


def pages() -> dict[Path, Page]:
    """The source of every page, in the order of the list."""
    papers = {paper: ROOT / "replications" / paper / "README.md" for paper in spec.papers()}
    return {
        FRONT: Page("index.html", "bioflax"),
        ROOT / "README.md": Page("readme.html", "README"),
        TUTORIAL: Page("tutorial.html", "Tutorial"),
        LIBRARY: Page("bioflax.html", "The library"),
        **{path: Page(f"{paper}.html", _heading(path)) for paper, path in papers.items()},
        ROOT / "CONTRIBUTING.md": Page("contributing.html", "Contributing"),
        ROOT / "CHANGELOG.md": Page("changelog.html", "Changelog"),
    }


def build(folder: Path) -> dict[str, Any]:
    """Write the site to ``folder``; the names that the tutorial's code leaves behind."""
    folder.mkdir(parents=True, exist_ok=True)
    site = pages()
    modules = {}
    for source, page in site.items():
        name = Path(page.file).stem
        if source == LIBRARY:
            modules[name] = pdoc.doc.Module(bioflax)
            continue
        text = source.read_text() + (_papers() if source == FRONT else "")
        text = linked(text, source, folder)
        if source == TUTORIAL:
            text, left = run(text, folder)
        module = ModuleType(name, text)
        module.__docformat__ = "markdown"  # type: ignore[attr-defined]
        modules[name] = pdoc.doc.Module(module)
    pdoc.render.configure(
        docformat="google",
        footer_text=f"bioflax {bioflax.__version__}",
        template_directory=FRONT.parent,
    )
    pdoc.render.env.globals["pages"] = list(site.values())
    pdoc.render.env.filters["constructor"] = constructor
    for name, content in modules.items():
        html = pdoc.render.html_module(content, modules)
        (folder / f"{name}.html").write_text(ARRAY.sub("Array", html))
    (folder / "search.js").write_text(pdoc.render.search_index(modules))
    return left


class _Elsewhere:
    """A default that is best looked up in Flax."""

    def __repr__(self) -> str:
        return "..."


def constructor(cls: type) -> inspect.Signature:
    """The arguments of a class, without types, which its docstring gives."""
    shown = (bool, int, float, str, tuple, bioflax.Rule, type(None))

    def plain(parameter: inspect.Parameter) -> inspect.Parameter:
        value = parameter.default
        if value is not parameter.empty and not isinstance(value, shown):
            value = _Elsewhere()
        return parameter.replace(annotation=parameter.empty, default=value)

    signature = getattr(cls, "__signature__", None)
    if signature is None:  # not of the class itself: Flax's metaclass takes *args, **kwargs
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    parameters = [plain(p) for name, p in signature.parameters.items() if name != "self"]
    return signature.replace(parameters=parameters, return_annotation=signature.empty)


def _heading(source: Path) -> str:
    return source.read_text().partition("\n")[0].removeprefix("# ")


def _papers() -> str:
    """The papers on the front page: title, reference, picture."""
    parts = ["\n## The papers"]
    for paper in spec.papers():
        content, folder = spec.load(paper), f"../../replications/{paper}"
        parts.append(f"### [{content.title}]({folder}/README.md)\n\n{content.reference}.")
        shown = [picture.file.name for picture in readme.pictures(paper) if picture.file.exists()]
        parts += [
            f"[![{content.title}]({folder}/{file})]({folder}/README.md)" for file in shown[:1]
        ]
    return "\n\n".join(parts) + "\n"


def linked(markdown: str, source: Path, folder: Path) -> str:
    """``markdown`` with links to other pages, its pictures copied to ``folder``.

    A link to a file that is no page becomes plain text. Raises UserError for one to nowhere.
    """
    parts = FENCED.split(markdown)
    replace = partial(_link, source=source, folder=folder)
    parts[::2] = [LINK.sub(replace, part) for part in parts[::2]]
    return "".join(parts)


def _link(link: re.Match[str], source: Path, folder: Path) -> str:
    mark, text, to = link.groups()
    text = LINK.sub(partial(_link, source=source, folder=folder), text)
    path, _, anchor = to.partition("#")
    if not path or path.startswith(("http://", "https://")):
        return f"{mark}[{text}]({to})"
    file = (source.parent / path).resolve()
    if not file.exists():
        raise UserError(f"{source.relative_to(ROOT)} links to {to!r}, and there is no such file")
    if mark:
        name = "-".join(file.relative_to(ROOT).parts)
        shutil.copyfile(file, folder / name)
        return f"![{text}]({name})"
    page = pages().get(file)
    return f"[{text}]({page.file}{'#' + anchor if anchor else ''})" if page else text


def run(markdown: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Run the Python blocks of ``markdown`` in order, as one program.

    Returns the text with what every block printed and drew below it, the pictures in ``folder``,
    and the program's names.
    """
    names: dict[str, Any] = {"__name__": "tutorial"}

    def result(block: re.Match[str]) -> str:
        line = markdown[: block.start(1)].count("\n")
        code = compile("\n" * line + block[1], TUTORIAL, "exec")
        with redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        said = printed.getvalue()
        below = [f'<pre class="output">{escape(said)}</pre>'] if said else []
        below += [f"![What this code draws]({name})" for name in _drawn(folder, line)]
        return "\n\n".join([block[0], *below])

    return PYTHON.sub(result, markdown), names


def _drawn(folder: Path, line: int) -> list[str]:
    """Save matplotlib's open figures, and close them."""
    names = [f"tutorial-{line}-{number}.svg" for number in pyplot.get_fignums()]
    for number, name in zip(pyplot.get_fignums(), names, strict=True):
        with matplotlib.rc_context({"svg.hashsalt": name}):
            pyplot.figure(number).savefig(folder / name, metadata={"Date": None})
    pyplot.close("all")
    return names


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(f"error: {error}")
