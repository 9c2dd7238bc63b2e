"""Where a number comes from: which sources a cell runs, what they say, and on which machine."""

import ast
import hashlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from replications.spec import DEEP, Cell

ROOT = Path(__file__).parent.parent
_ALWAYS = [
    "bioflax/feedback.py",
    "bioflax/layers/linear.py",
    "bioflax/layers/product.py",
    "bioflax/rules/base.py",
    "replications/initializers.py",
    "replications/measures.py",
    "replications/networks.py",
    "replications/optimizers.py",
    "replications/outputs.py",
    "replications/simulate.py",
    "replications/streams.py",
    "replications/tasks.py",
    "replications/training.py",
]
# What takes an exact backprop twin beside the net.
_TWIN = [
    "bioflax/alignment.py",
    "bioflax/convert.py",
    "bioflax/layers/swap.py",
    "bioflax/pure.py",
    "bioflax/rules/backprop.py",
    "bioflax/stack.py",
]
ORIGIN = (
    "commit",
    "spec_digest",
    "source_digest",
    "versions",
    "device",
    "processor",
    "batching",
    "dataset",
    "seeds",
    "wall_seconds",
)
_ANGLES = {"delta_angle", "pseudo_angle", "weight_angle"}


def sources(cell: Cell) -> list[Path]:
    """The files whose code decides the cell's numbers; a test traces a run and holds this to it."""
    spec = cell.spec
    files = [*_ALWAYS]
    layer_rule = {
        "feedback_alignment": "feedback_alignment",
        "kolen_pollack": "kolen_pollack",
        "weight_mirror": "weight_mirror",
    }.get(spec.rule, "backprop")
    files.append(f"bioflax/rules/{layer_rule}.py")
    if "direct" in spec.rule:
        files += ["bioflax/direct.py", "bioflax/pure.py", "bioflax/stack.py"]
    if len(spec.network.hidden) > DEEP:
        files += ["bioflax/pure.py", "bioflax/stack.py"]
    if spec.network.convolutions:
        files.append("bioflax/layers/conv.py")
    if _ANGLES & set(spec.measures) or spec.adversarial:
        files += _TWIN
    return [ROOT / name for name in sorted(set(files))]


def source_digest(cell: Cell) -> str:
    """Sha256 over what the cell's sources do: comments, layout and docstrings do not count."""
    return hashlib.sha256("".join(code_digest(path) for path in sources(cell)).encode()).hexdigest()


@cache
def code_digest(path: Path) -> str:
    """Sha256 over what one source does."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body[:] = body[1:] or [ast.Pass()]
        if not getattr(node, "type_params", True):
            del node.type_params  # type: ignore[attr-defined]
    return hashlib.sha256(f"{path.relative_to(ROOT)}\n{_dump(tree)}".encode()).hexdigest()


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


def origins(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where a cell's numbers come from: once for each time that seeds were added, the last first."""
    return [{key: manifest.get(key) for key in ORIGIN}, *manifest.get("earlier", [])]


def machine() -> dict[str, Any]:
    """The versions and the processor, as a manifest records them."""
    import jax

    names = ("jax", "jaxlib", "flax", "optax", "numpy")
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "device": str(jax.devices()[0].device_kind),
        "processor": _processor(),
    }


def commit() -> str:
    """The commit of the checkout, with ``-dirty`` where tracked files differ from it; or unknown."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("-dirty" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
    )
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()
