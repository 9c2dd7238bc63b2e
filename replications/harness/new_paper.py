"""A new paper from the template: files that run, to be replaced part by part."""

import shutil
from pathlib import Path

from replications.harness.declared.config import check_paper
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.store import ROOT, Store

TEMPLATE = Path(__file__).with_name("template")
CONFIG, FIGURES = Path("workflow/config.yaml"), Path("figures")


def write_paper(name: str, store: Store = Store(), root: Path = ROOT) -> list[Path]:
    """Write ``replications/<name>/``, ``figures/<name>.py`` and a line of ``workflow/config.yaml``; the files.

    All of them or none. Raises UserError for a name that a paper cannot have, and where there is one.
    """
    check_paper(name)
    folder, figures = store.papers / name, root / FIGURES / f"{name}.py"
    for place in (folder, figures):
        if place.exists():
            raise UserError(f"{place}: is there already; nothing was written")
    config = _with_paper(name, root / CONFIG)
    new = folder.with_name(f".{name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        shutil.copytree(TEMPLATE, new, ignore=shutil.ignore_patterns("figures.py", "__pycache__"))
        with atomically(figures) as temporary:
            shutil.copyfile(TEMPLATE / "figures.py", temporary)
        new.rename(folder)
        with atomically(root / CONFIG) as temporary:
            temporary.write_text(config, encoding="utf-8")
    except BaseException:
        for left in (new, folder):
            shutil.rmtree(left, ignore_errors=True)
        figures.unlink(missing_ok=True)
        raise
    return [*sorted(folder.iterdir()), figures, root / CONFIG]


def _with_paper(name: str, config: Path) -> str:
    """The configuration with one paper more, its comments as they are."""
    lines = config.read_text(encoding="utf-8").splitlines(keepends=True)
    if "papers:\n" not in lines:
        raise UserError(f"{config}: no line `papers:`, below which the paper would stand")
    place = lines.index("papers:\n") + 1
    while place < len(lines) and lines[place].lstrip().startswith("- "):
        place += 1
    return "".join([*lines[:place], f"  - {name}\n", *lines[place:]])
