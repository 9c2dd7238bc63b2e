"""What a way of direct feedback is: what is sent to the blocks, and what becomes of it."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
from flax import nnx

from bioflax._direct.stage import Block
from bioflax._feedback import Feedback


@dataclasses.dataclass(frozen=True)
class Pass:
    """A forward pass as a way's backward pass sees it.

    Attributes:
      stages, graphs: the blocks' and the readout's, in order.
      inputs: ``(x, floats, rests)``, the net's input and its stages' states, for a way with
        ``keeps_inputs``.
      hs: the blocks' outputs.
      target: what the net was called with.
      given: its inputs by name.
    """

    stages: Sequence[Block]
    graphs: Sequence[Any]
    inputs: tuple[Any, ...]
    hs: list[Any]
    target: Any
    given: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Direct(abc.ABC):
    """A way of direct feedback: static, hashable, kept as the attribute ``mode`` of the net.

    Attributes:
      name: the string that stands for it.
      kind: the type of variable its ``B_l`` is: a parameter if it learns.
      exact: nothing is sent directly; the net is its blocks one after the other.
      needs_target: the net must be called with ``target=``.
      keeps_inputs: its backward pass runs blocks once more.
    """

    name: ClassVar[str]
    kind: ClassVar[type[nnx.Variable[Any]]] = Feedback
    exact: ClassVar[bool] = False
    needs_target: ClassVar[bool] = False
    keeps_inputs: ClassVar[bool] = False

    @property
    def learns(self) -> bool:
        """Whether ``B_l`` is a parameter, with a gradient."""
        return issubclass(self.kind, nnx.Param)

    def check(self, stages: Sequence[Block], *, shared: bool, broadcast: bool) -> None:
        """Raise ValueError for blocks or options that it does not work with."""
        del stages, shared, broadcast

    def sent(self, e: jax.Array, target: Any) -> jax.Array:
        """What every block's ``B_l`` is applied to; ``e`` is the error at the net's output."""
        del target
        return e

    def received(self, signals: list[jax.Array], forward: Pass) -> list[jax.Array]:
        """What the blocks receive, where ``signals`` are ``B_l`` times what was sent."""
        del forward
        return signals

    def compared(self, matrices: list[jax.Array]) -> list[jax.Array]:
        """Those of the ``B_l`` that send anything, the first blocks' first."""
        return matrices

    def gradients(self, e: jax.Array, forward: Pass, stored: Any) -> list[jax.Array] | None:
        """The gradients of the ``B_l``; None where they do not learn."""
        del e, forward, stored
        return None


def check_direct(mode: Any) -> Direct:
    """The way that ``mode`` is, or is the name of; or a ValueError that names the valid ones."""
    if isinstance(mode, Direct):
        return mode
    ways: dict[str, Callable[[], Direct]] = {way.name: way for way in Direct.__subclasses__()}
    if not isinstance(mode, str) or mode not in ways:
        valid = tuple(ways)
        raise ValueError(f"mode={mode!r} is not a way of direct feedback; valid: {valid}")
    return ways[mode]()
