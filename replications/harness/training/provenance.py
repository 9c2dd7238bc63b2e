"""Where a number comes from: which sources a cell runs, what they say, and on which machine."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from replications.harness import sources
from replications.harness.catalogue.rules import RULES
from replications.harness.declared.experiments import Cell
from replications.harness.store import ROOT

# What trains and measures a cell. The catalogue of rules counts by the cell's own row alone.
PROGRAM = "replications.harness.training.run"
_BY_ROW = {ROOT / "replications/harness/catalogue/rules.py"}
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


def cell_sources(cell: Cell) -> list[Path]:
    """The files whose code decides the cell's numbers, derived from imports; a test traces a run and
    holds this to it."""
    own = [f"bioflax.{name}" for name in RULES[cell.spec.rule].library]
    return [file for file in sources.closure([PROGRAM, *own]) if file not in _BY_ROW]


def source_digest(cell: Cell) -> str:
    """Sha256 over what the cell's sources do: comments, layout and docstrings do not count."""
    row = json.dumps(RULES[cell.spec.rule].computes, sort_keys=True)
    code = _program_digest(cell.spec.rule, tuple(cell_sources(cell)))
    return hashlib.sha256(f"{row}{code}".encode()).hexdigest()


@cache
def _program_digest(rule: str, files: tuple[Path, ...]) -> str:
    del rule
    return sources.digest(files)


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
