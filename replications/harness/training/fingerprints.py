"""What a cell does in its first updates, without its data: whether expensive results still hold.

A cell of the preset full takes hours and a download; its fingerprint takes seconds and none. It is
the first losses of one seed, and the size of the weights after them, on noise in the shape of the
cell's data set. It moves when a change of code would move the results.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from replications.harness.declared.experiments import Cell, cells_of
from replications.harness.files import atomically
from replications.harness.store import Store
from replications.harness.training import datasets, tasks
from replications.harness.training.program import FIRST, State, program
from replications.harness.training.run import advancing
from replications.harness.training.streams import drawing, precision

Images = Callable[[str], datasets.Dataset]


def fingerprint(cell: Cell) -> pd.Series:
    """One column of an experiment's fingerprints; its name tells the arm and the precision."""
    state = _started(_unwhitened(cell), datasets.stand_in)
    rows = {f"loss {i}": float(loss) for i, loss in enumerate(state.first_losses, 1)}
    size = np.sqrt(sum(np.sum(np.square(w, dtype=float)) for w in jax.tree.leaves(state.trained)))
    name = f"{cell.arm} ({cell.spec.dtype})"
    return pd.Series({**rows, "size of the weights": float(size)}, name=name).rename_axis("after")


def of_cells(cells: Sequence[Cell]) -> pd.DataFrame:
    """The fingerprints of an experiment: a column for each of its cells that runs code of its own."""
    return pd.concat([fingerprint(cell) for cell in distinct(cells)], axis=1)


def write_fingerprints(paper: str, experiment: str, store: Store) -> None:
    """Write the fingerprints of an experiment at full scale as they are now."""
    cells = cells_of(paper, experiment, "full", store)
    with atomically(store.fingerprints("full", paper, experiment)) as temporary:
        of_cells(cells).to_csv(temporary)


def distinct(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of an experiment that run different code: the first of those that differ in numbers.

    A rate, a scale or a decay of another size runs the same code; none at all may not.
    """
    return list({_form(cell.spec.model_dump()): cell for cell in reversed(cells)}.values())[::-1]


def _form(value: Any) -> Any:
    """A spec without the size of its fractions."""
    if isinstance(value, dict):
        return tuple((key, _form(one)) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_form, value))
    return value != 0 if isinstance(value, float) else value


def first_losses(cell: Cell, images: Images, seed: int) -> np.ndarray:
    """The first losses of a cell on its own data, as a run of it records them."""
    return np.asarray(_started(cell, images, seed).first_losses)


def _started(cell: Cell, images: Images, seed: int = 0) -> State:
    """A run after its first updates, by the functions that run it whole."""
    with precision(cell.spec.dtype):
        task = tasks.build(cell.spec, images)
        run = program(cell.spec, task)
        order, advance = drawing(run.order), advancing(run)
        number = jnp.uint32(seed)
        state = drawing(run.start)(number)
        for epoch, updates in run.stretches(0, min(FIRST, run.steps)):
            indices = order(number, jnp.int32(epoch))
            state = advance(state, number, indices, task.data, jnp.int32(updates))
        return state


def _unwhitened(cell: Cell) -> Cell:
    """Noise is white already, and whitening takes a minute."""
    task = cell.spec.task
    if task.images is None:
        return cell
    images = task.images.model_copy(update={"whiten": False})
    changed = {"task": task.model_copy(update={"images": images})}
    return cell._replace(spec=cell.spec.model_copy(update=changed))
