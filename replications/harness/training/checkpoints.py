"""Long runs resume where they were cut off, to the bit: orbax writes the state, whole or not at all."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

from replications.harness.declared.experiments import Cell
from replications.harness.training import provenance


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
        self.last = time.monotonic()
        self.long = self.here.exists()

    def finish(self, group: list[int], records: dict[str, np.ndarray]) -> None:
        """Keep the records of a group that is done (in a long run)."""
        if self.long or time.monotonic() - self.last >= self.seconds:
            self._write(self.here / _name("done", group), records)
            _clear(self._states(group))

    def finished(self, group: list[int]) -> dict[str, np.ndarray] | None:
        """The records of a group that an earlier run has finished, if any."""
        path = self.here / _name("done", group)
        return _checkpointer().restore(path) if path.exists() else None

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
        _clear(older)

    def _states(self, group: list[int]) -> list[Path]:
        """A group's saved states, the newest last: at most one but for a run that was killed."""
        found = self.here.glob(f"{_name('state', group)}.*")
        return sorted(
            (path for path in found if path.suffix[1:].isdigit()), key=lambda p: int(p.suffix[1:])
        )

    def resume(self, group: list[int], like: Any) -> tuple[Any, list[dict[str, np.ndarray]]] | None:
        """The saved state (of the structure of ``like``) and the records, if there are any."""
        states = self._states(group)
        if not states:
            return None
        saved = _checkpointer().restore(states[-1])
        leaves, structure = jax.tree.flatten(like)
        state = [_like(saved["state"][str(i)], leaf) for i, leaf in enumerate(leaves)]
        count = len(next(iter(saved["records"].values())))
        records = [{k: v[i] for k, v in saved["records"].items()} for i in range(count)]
        return jax.tree.unflatten(structure, state), records

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

    def _write(self, path: Path, tree: Any) -> None:
        # orbax writes beside ``path`` and renames, so that what stands there is whole.
        _checkpointer().save(path, tree)
        self.last, self.long = time.monotonic(), True


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
