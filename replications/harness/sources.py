"""Which sources a module runs, derived from its imports, and what they say.

Only imports count that are executed: what stands under ``if TYPE_CHECKING`` does not. ``import
bioflax`` alone means those modules of the library whose public names the source uses.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from replications.harness.store import ROOT

PACKAGES = ("bioflax", "figures", "replications")
LIBRARY = "bioflax"


def closure(modules: Iterable[str], root: Path = ROOT) -> list[Path]:
    """The files of ``modules`` (dotted names; in the library, ``bioflax.Name``) and of all that they import."""
    found: dict[Path, None] = {}
    waiting = [file for name in modules for file in _files(name, root)]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found[file] = None
        waiting += _imported(file, root)
    return sorted(found)


def digest(files: Iterable[Path], root: Path = ROOT) -> str:
    """Sha256 over what sources do: comments, layout and docstrings do not count."""
    return hashlib.sha256("".join(code_digest(file, root) for file in files).encode()).hexdigest()


@cache
def code_digest(path: Path, root: Path = ROOT) -> str:
    """Sha256 over what one source does, the same whichever Python computes it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body[:] = body[1:] or [ast.Pass()]
        if not getattr(node, "type_params", True):
            del node.type_params  # type: ignore[attr-defined]
    text = f"{path.relative_to(root).as_posix()}\n{_dump(tree)}"
    return hashlib.sha256(text.encode()).hexdigest()


def _dump(tree: ast.AST) -> str:
    """The tree as Python 3.11 writes it, whichever Python this is: 3.13 leaves out empty lists."""
    empty = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    return ast.dump(tree, **empty)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _files(name: str, root: Path) -> list[Path]:
    """The file of a module, or of the module that has a name: ``a.b`` is b of a where b is no module."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return []
    if parts[0] == LIBRARY and (owner := _public(root).get(name, name)) != name:
        return _files(owner, root)
    for length in (len(parts), len(parts) - 1):
        stem = root.joinpath(*parts[:length])
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if length and file.is_file():
                return [file]
    return []


@cache
def _public(root: Path) -> dict[str, str]:
    """Name that a package of the library passes on -> the same in the module that it is from."""
    return {
        ".".join([*file.parent.relative_to(root).parts, alias.asname or alias.name]): (
            f"{node.module}.{alias.name}"
        )
        for file in (root / LIBRARY).rglob("__init__.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@cache
def _imported(file: Path, root: Path) -> list[Path]:
    """The sources that a source imports. A plan asks for them thousands of times."""
    return list(dict.fromkeys(one for name in _imports(file) for one in _files(name, root)))


def _imports(file: Path) -> list[str]:
    """Dotted names of what a source imports when it runs."""
    names: list[str] = []
    for node in _executed(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name != LIBRARY]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and _is_name(node.value, LIBRARY):
            names.append(f"{LIBRARY}.{node.attr}")
    return names


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_name(child.test, "TYPE_CHECKING"):
            child = ast.Module(child.orelse, [])
        yield child
        yield from _executed(child)


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
