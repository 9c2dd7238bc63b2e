"""Long runs resume where they were cut off, to the bit: orbax writes the state, whole or not at all.

What lies on disk carries a digest. A checkpoint that does not read back as it was written is set aside, and
the run goes on from the one before it, or from its start.
"""

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from replications.harness.declared.experiments import Cell
from replications.harness.records import arrays_digest
from replications.harness.training import provenance

# The states of a group that are kept: the last, and the one before it should the last be damaged.
KEPT = 2


class Clock(NamedTuple):
    """The seconds that a group of seeds has taken, over all processes, and how often it was resumed."""

    seconds: float = 0.0
    resumes: int = 0


class Checkpoint:
    """The unfinished work of one cell, beside its result file, for one spec, one set of sources and
    one way of batching.

    Nothing is written before ``seconds`` have passed since the last write: short runs leave no trace.
    """

    def __init__(self, result: Path, cell: Cell, batching: str, seconds: float):
        identity = f"{cell.digest[:12]}-{provenance.source_digest(cell)[:12]}-{batching}"
        # orbax reads and writes absolute paths only.
        self.folder = result.parent.absolute() / f".{result.stem}.checkpoint"
        self.here = self.folder / identity
        self.seconds = seconds
        self.last = self.began = time.monotonic()
        self.before = Clock()
        self.long = self.here.exists()

    def begin(self) -> None:
        """A group of seeds begins: its time runs from now."""
        self.began, self.before = time.monotonic(), Clock()

    @property
    def clock(self) -> Clock:
        """What the present group has taken until now."""
        seconds = self.before.seconds + time.monotonic() - self.began
        return self.before._replace(seconds=seconds)

    def finish(self, group: list[int], records: dict[str, np.ndarray]) -> None:
        """Keep the records of a group that is done (in a long run)."""
        if self.long or time.monotonic() - self.last >= self.seconds:
            self._write(self.here / _name("done", group), {"records": records})
            _clear(self._states(group))

    def finished(self, group: list[int]) -> dict[str, np.ndarray] | None:
        """The records of a group that an earlier run has finished, if any."""
        path = self.here / _name("done", group)
        if not path.exists() or (saved := _read(path, lambda tree: tree["records"])) is None:
            return None
        # Nothing of it is done again: its time is that of the process that did it.
        self.began, self.before = time.monotonic(), saved[0]
        return saved[1]

    def save(self, group: list[int], state: Any, records: list[dict[str, np.ndarray]]) -> None:
        """Keep a group's state and its records so far, where it is time."""
        if time.monotonic() - self.last < self.seconds:
            return
        leaves = [_plain(leaf) for leaf in jax.tree.leaves(state)]
        saved = {
            "state": {str(i): leaf for i, leaf in enumerate(leaves)},
            "records": {name: np.stack([r[name] for r in records]) for name in records[0]},
        }
        older = self._states(group)
        self._write(self.here / f"{_name('state', group)}.{len(records)}", saved)
        _clear(older[: 1 - KEPT])

    def _states(self, group: list[int]) -> list[Path]:
        """A group's saved states, the newest last."""
        found = self.here.glob(f"{_name('state', group)}.*")
        return sorted(
            (path for path in found if path.suffix[1:].isdigit()), key=lambda p: int(p.suffix[1:])
        )

    def resume(self, group: list[int], like: Any) -> tuple[Any, list[dict[str, np.ndarray]]] | None:
        """The saved state (of the structure of ``like``) and the records, if there are any."""

        def read(tree: Any) -> tuple[Any, list[dict[str, np.ndarray]]]:
            leaves, structure = jax.tree.flatten(like)
            state = [_like(tree["state"][str(i)], leaf) for i, leaf in enumerate(leaves)]
            count = len(next(iter(tree["records"].values())))
            records = [{k: v[i] for k, v in tree["records"].items()} for i in range(count)]
            return jax.tree.unflatten(structure, state), records

        for path in reversed(self._states(group)):
            if (saved := _read(path, read)) is not None:
                clock, found = saved
                self.before = clock._replace(resumes=clock.resumes + 1)
                return found
        return None

    def remove(self, groups: list[list[int]], whole: bool) -> None:
        """These groups are done and written: their checkpoints go. With the ``whole`` cell done, all
        of them do, those of other sources too; else another process may be at work on other seeds."""
        if whole:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        for group in groups:
            _clear([self.here / _name("done", group), *self._states(group)])
        with suppress(OSError):  # other seeds' are left
            self.here.rmdir()
            self.folder.rmdir()

    def _write(self, path: Path, tree: dict[str, Any]) -> None:
        tree = {**tree, "clock": np.array(self.clock, np.float64)}
        tree["sha256"] = np.frombuffer(bytes.fromhex(_digest(tree)), np.uint8)
        # orbax writes beside ``path`` and renames, so that what stands there is whole.
        _checkpointer().save(path, tree)
        self.last, self.long = time.monotonic(), True


def _read(path: Path, take: Callable[[Any], Any]) -> tuple[Clock, Any] | None:
    """The clock of a checkpoint and what ``take`` makes of it. One that is damaged is set aside: None."""
    try:
        tree = _checkpointer().restore(path)
        expected = bytes(np.asarray(tree.pop("sha256"), np.uint8)).hex()
        if _digest(tree) != expected:
            raise ValueError("its sha256 is another")
        seconds, resumes = np.asarray(tree["clock"])
        return Clock(float(seconds), int(resumes)), take(tree)
    except Exception as error:  # orbax raises what its parts raise, whatever that is
        aside = path.with_name(f"damaged-{path.name}")
        _clear([aside])
        path.rename(aside)
        said = (str(error).splitlines() or [type(error).__name__])[0][:120]
        print(f"{path}: damaged checkpoint ({said}); set aside as {aside.name}, the run goes on from the"
              " one before it, or from its start", file=sys.stderr)  # fmt: skip
        return None


def _digest(tree: dict[str, Any]) -> str:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return arrays_digest({jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves})


def _clear(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _checkpointer() -> Any:
    # Imported late: it takes two seconds, and short runs never need it.
    import orbax.checkpoint as ocp

    return ocp.PyTreeCheckpointer()


def _name(kind: str, group: list[int]) -> str:
    return f"{kind}-{group[0]}-{group[-1]}"


def _plain(leaf: Any) -> np.ndarray:
    is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _like(saved: Any, leaf: Any) -> jax.Array:
    if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jax.numpy.asarray(saved))
    return jax.numpy.asarray(saved, leaf.dtype)
