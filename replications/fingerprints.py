"""What a cell does in its first updates, without its data: whether expensive results still hold.

A cell of the preset paper takes hours and a download; its fingerprint takes seconds and none. It is
the first losses of one seed, and the size of the weights after them, on noise in the shape of the
cell's data set. It moves when a change of code would move the results.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from replications import datasets, tasks
from replications.spec import Cell
from replications.streams import drawing
from replications.training import FIRST, State, program

Images = Callable[[str], datasets.Dataset]


def fingerprint(cell: Cell) -> pd.Series:
    """One column of an experiment's fingerprints; its name tells the arm and the precision."""
    state = _started(_unwhitened(cell), datasets.stand_in)
    rows = {f"loss {i}": float(loss) for i, loss in enumerate(state.first_losses, 1)}
    size = np.sqrt(sum(np.sum(np.square(w, dtype=float)) for w in jax.tree.leaves(state.trained)))
    name = f"{cell.arm} ({cell.spec.dtype})"
    return pd.Series({**rows, "size of the weights": float(size)}, name=name).rename_axis("after")


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
    with jax.enable_x64(cell.spec.dtype == "float64"):
        task = tasks.build(cell.spec, images)
        run = program(cell.spec, task)
        order, advance = drawing(run.order), jax.jit(run.advance)
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
