"""The settings of the documentation: `snakemake site --cores 1`, or Read the Docs.

All that it shows is beside it, in the docstrings of bioflax, and in Markdown files of this
repository that pages include. Where the repository lives is said once, in CITATION.cff.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

# The checkout's own bioflax; for the kernels that run the pages too.
sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [sys.path[0], os.getenv("PYTHONPATH")]))
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["NPROC"] = "1"

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.inspect import signature, stringify_signature

import bioflax
from workflow.site.colab import HERE, ROOT, repository

REPOSITORY = repository()
COLAB = "https://colab.research.google.com/github"

project = "bioflax"
author = "bioflax maintainers"
version = release = bioflax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["**.ipynb"]
highlight_language = "none"
nitpicky = True
# Types of JAX and Flax, for which no page stands here.
nitpick_ignore_regex = [("py:.*", r"(jax|flax|nnx)\..*")]

# Pages in MyST; those with cells are notebooks, run by every build.
myst_enable_extensions = ["colon_fence", "dollarmath", "substitution"]
myst_heading_anchors = 3
nb_execution_mode = "force"
# A cell that fails is a warning with its traceback, and so fails the build, after all other pages.
nb_execution_show_tb = True
nb_execution_timeout = 600
nb_merge_streams = True

autodoc_default_options = {"member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_typehints = "none"
autodoc_preserve_defaults = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_attr_annotations = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "sphinx_book_theme"
html_title = f"bioflax {release}"
html_theme_options: dict[str, Any] = {
    "footer_content_items": [],
    "navbar_persistent": [],  # one search field is enough
    "show_toc_level": 2,
    "use_download_button": False,
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
if REPOSITORY:
    html_theme_options |= {
        "repository_url": REPOSITORY,
        "path_to_docs": "workflow/site",
        "use_repository_button": True,
    }
html_math_renderer = "mathml"

# Of a page: `{{ colab.format(env.docname) }}`.
myst_substitutions = {
    "colab": (
        f"[Open in Colab]({COLAB}/{REPOSITORY.removeprefix('https://github.com/')}"
        f"/blob/main/{HERE.relative_to(ROOT).as_posix()}/{{}}.ipynb), or download"
        if REPOSITORY.startswith("https://github.com/")
        else "Download"
    )
}

INCLUDE = re.compile(r"^```\{include\} (\S+)$", re.MULTILINE)
SILENT = re.compile(r"=(<(function|class)[^=]*>(\.init>)?|\w+\(\{\}\))(?=[,)])")
# Code, which stays as it is, or where a link or a picture leads.
TARGET = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|(?<=\]\()([^)\s#]+)([^)\s]*)(?=\))", re.DOTALL)


def included() -> dict[Path, str]:
    """The page that shows a file of the repository, as links name it."""
    return {
        (page.parent / file).resolve(): f"/{page.relative_to(HERE).as_posix()}"
        for page in sorted(HERE.rglob("*.md"))
        for file in INCLUDE.findall(page.read_text(encoding="utf-8"))
    }


def link(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """Let the links of an included file lead to pages here, or else to a copy of the file."""
    del parent
    folder, pages = (app.srcdir / path).resolve().parent, included()

    def here(found: re.Match[str]) -> str:
        _, to, anchor = found.groups()
        if to is None or re.match(r"\w+:", to):
            return found[0]
        file = (folder / to).resolve()
        page = pages.get(file, "/" + Path(os.path.relpath(file, HERE)).as_posix())
        return page + anchor

    content[0] = TARGET.sub(here, content[0])


def literal(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Show as it stands what a docstring indents after a colon: equations, BibTeX."""
    del app, what, name, of, options
    for i, (line, blank, after) in enumerate(zip(lines, lines[1:], lines[2:], strict=False)):
        deeper = len(after) - len(after.lstrip()) > len(line) - len(line.lstrip())
        if line.endswith(":") and not line.endswith("::") and not blank.strip() and deeper:
            lines[i] += ":"


def short(
    app: Sphinx,
    what: str,
    name: str,
    of: Any,
    options: Any,
    arguments: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """The arguments without the defaults that say nothing: functions, types, empty mappings."""
    del app, name, options
    if what == "class" and arguments == "(*args, **kwargs)":  # those of Flax's metaclass
        own = signature(of.__init__, bound_method=True)
        arguments = stringify_signature(own, show_annotation=False)
    return arguments and SILENT.sub("=...", arguments), returned


def inline_math(translator: Any, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f"<div class='math'>{tex2mathml(node.astext(), as_block=True)}</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.connect("include-read", link)
    app.connect("autodoc-process-docstring", literal, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", short)
    # MathML, which browsers show without a script from elsewhere.
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
