"""Pages as notebooks for Colab: `python -m workflow.site.colab` writes them anew.

The text of a page that offers one is its source; the notebook, beside it, has its cells without
outputs, those that only the site needs left out, and before them one that installs.
"""

from pathlib import Path

import jupytext
import nbformat
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# The pages that offer a notebook.
PAGES = [
    page for page in sorted(HERE.rglob("*.md")) if "{{ colab" in page.read_text(encoding="utf-8")
]

INSTALL = """\
# Install what is missing{where}.
from importlib.util import find_spec

if find_spec("bioflax") is None:
    %pip install --quiet "{source}" optax matplotlib mlxtend"""


def citation() -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    return found


def repository() -> str:
    """The address of the repository, ``repository-code`` in CITATION.cff; empty where there is none."""
    return citation().get("repository-code", "").rstrip("/")


def notebook(page: Path) -> str:
    """The notebook of a page, the same in every call."""
    address = repository()
    wheel = f"bioflax-{citation()['version']}-py3-none-any.whl"
    source = f"bioflax @ git+{address}" if address else wheel
    where = (
        "" if address else "; in Colab, upload the wheel first (`pip wheel --no-deps .` makes it)"
    )
    text = INSTALL.format(source=source, where=where)
    install = nbformat.v4.new_code_cell(text)  # type: ignore[no-untyped-call]
    made = jupytext.read(page)
    made.cells = [install, *(cell for cell in made.cells if not _of_the_site(cell))]
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
    made.metadata = {"kernelspec": made.metadata["kernelspec"]}
    return str(nbformat.writes(made, version=4)) + "\n"  # type: ignore[no-untyped-call]


def _of_the_site(cell: nbformat.NotebookNode) -> bool:
    return not {"remove-cell", "site"}.isdisjoint(cell.metadata.get("tags", []))


if __name__ == "__main__":
    for page in PAGES:
        page.with_suffix(".ipynb").write_text(notebook(page), encoding="utf-8")
