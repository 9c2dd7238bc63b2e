"""Where a number comes from: which sources a cell runs, what they say, and on which machine.

A cell's manifest holds *origins*. An origin is one way in which seeds were computed: a commit, a machine, the
versions, the batching, the data. Its ``seeds`` say what is each seed's own: ``wall_seconds``, of which
the last process traced and compiled for ``compile_seconds``, ``resumes``, ``diverged_at`` and, once accepted,
``records``, the digest of its rows. Every seed stands in exactly one.
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from replications.harness import sources
from replications.harness.catalogue.rules import RULES
from replications.harness.declared.experiments import Cell
from replications.harness.store import ROOT, Store
from replications.harness.training import sealing

# What trains and measures a cell. The catalogue of rules counts by the cell's own row alone.
PROGRAM = "replications.harness.training.run"
_BY_ROW = {ROOT / "replications/harness/catalogue/rules.py"}
# What two machines have in common that give the same bits.
KIND = ("device", "processor", "instructions", "versions")
# The sets of vector instructions that XLA compiles for, the widest first.
_INSTRUCTIONS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sse4_2": "SSE4.2"}

Origin = dict[str, Any]


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


def code_and_versions(cell: Cell) -> str:
    """Sha256 over all but the spec that decides a cell's numbers: its sources, and what they run on."""
    return hashlib.sha256(f"{source_digest(cell)}{_versions()}".encode()).hexdigest()


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy")}


def of_seeds(origins: Iterable[Origin]) -> dict[int, dict[str, Any]]:
    """Seed -> all that is known of where its numbers come from."""
    return {
        int(seed): {**{k: v for k, v in origin.items() if k != "seeds"}, **own}
        for origin in origins
        for seed, own in origin["seeds"].items()
    }


def without(origins: Iterable[Origin], seeds: Collection[int]) -> list[Origin]:
    """The origins of the other seeds."""
    return _filtered(origins, lambda seed: seed not in seeds)


def only(origins: Iterable[Origin], seeds: Collection[int]) -> list[Origin]:
    """The origins of these seeds."""
    return _filtered(origins, lambda seed: seed in seeds)


def _filtered(origins: Iterable[Origin], wanted: Any) -> list[Origin]:
    left = [
        origin | {"seeds": {s: own for s, own in origin["seeds"].items() if wanted(int(s))}}
        for origin in origins
    ]
    return [origin for origin in left if origin["seeds"]]


def machine() -> dict[str, Any]:
    """The versions, the processor and the settings, as a manifest records them."""
    import jax

    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": _versions(),
        "device": str(jax.devices()[0].device_kind),
        "processor": _processor(),
        "instructions": _instructions(),
        "settings": sealing.settings(),
    }


@cache
def machine_once() -> dict[str, Any]:
    """``machine``, asked once: it does not change while a command runs."""
    return machine()


def same_kind(origin: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
    """Whether two machines compute the same bits. One that did not record its instructions may not."""
    return bool(origin.get("instructions")) and all(origin.get(k) == here.get(k) for k in KIND)


def commit() -> str:
    """The commit of the checkout, with ``-dirty`` where tracked files differ from it; or unknown."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("-dirty" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def claims_commit(paper: str, store: Store = Store()) -> str:
    """The commit that last changed what a paper's results are held against; ``-dirty`` where the
    files differ from it, ``unknown`` without git."""
    files = [str(store.claims(paper).absolute()), str(store.published(paper).absolute())]
    try:
        last = _git("log", "-1", "--format=%H", "--", *files)
        dirty = _git("status", "--porcelain", "--", *files)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return (last or "unknown") + ("-dirty" if dirty else "")


def past_texts(file: Path) -> Iterable[str]:
    """What a file said in earlier commits, the last first; nothing where git does not know it."""
    try:
        name = file.absolute().relative_to(ROOT).as_posix()
        commits = _git("log", "--format=%H", "--", name).split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return
    for one in commits:
        try:
            yield _git("show", f"{one}:{name}")
        except subprocess.SubprocessError:
            continue


def text_at(commit: str, file: Path) -> str | None:
    """What a file said at a commit; None where git does not know it."""
    try:
        name = file.absolute().relative_to(ROOT).as_posix()
        return _git("show", f"{commit}:{name}")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def added(folder: Path) -> list[tuple[str, str]]:
    """(commit, name) of every file that was ever added below a folder, the last first; none without git."""
    try:
        name = folder.absolute().relative_to(ROOT).as_posix()
        words = (
            "--full-history",
            "--diff-filter=A",
            "--no-renames",
            "--name-only",
            "--format=%x00%H",
        )
        log = _git("log", *words, "--", name)
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    pairs = []
    for entry in log.split("\0")[1:]:
        commit, *names = entry.split()
        pairs += [(commit, one) for one in names]
    return pairs


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=20,
    )
    return done.stdout.strip()


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor()


def _instructions() -> str:
    """The widest vector instructions of the processor. Sums of another width round otherwise."""
    flags: Sequence[str] = _cpuinfo("flags").split()
    known = (text for flag, text in _INSTRUCTIONS.items() if flag in flags)
    return next(known, platform.machine())


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")
