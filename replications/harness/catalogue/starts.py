"""The ways in which an array may be drawn at the start."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Draws(Protocol):
    """Draws of one array's shape and type."""

    def uniform(self, bound: float) -> Any:
        """``U[-bound, bound]``."""

    def normal(self) -> Any:
        """``N(0, 1)``."""

    def full(self, value: float) -> Any:
        """``value`` everywhere."""


class Fan(NamedTuple):
    """Connections of a unit: those into it, those out of it, and the units that receive feedback."""

    inputs: int
    outputs: int
    receivers: int

    @classmethod
    def of(cls, shape: Sequence[int], inputs: int | None = None) -> "Fan":
        """Of a kernel, inputs before outputs. ``inputs``: of a bias, whose shape does not tell it.

        Direct feedback has the shape (outputs of the net, *units that receive it).
        """
        shape = tuple(shape)
        return cls(
            inputs or math.prod(shape[:-1]),
            math.prod(shape[:-2]) * shape[-1],
            math.prod(shape[1:]),
        )


@dataclass(frozen=True)
class Start:
    """One way. ``draw`` is None where the net itself fills the array in, once it is drawn.

    ``needs_value``: the spec must give a number with the name.
    """

    draw: Callable[[Draws, float, Fan], Any] | None
    needs_value: bool = False


STARTS: dict[str, Start] = {
    "zeros": Start(lambda draws, _, fan: draws.full(0.0)),
    "constant": Start(lambda draws, value, fan: draws.full(value), needs_value=True),
    "uniform": Start(lambda draws, value, fan: draws.uniform(value), needs_value=True),
    "normal": Start(lambda draws, value, fan: value * draws.normal(), needs_value=True),
    # Torch's default.
    "fan_in_uniform": Start(lambda draws, _, fan: draws.uniform(1 / math.sqrt(fan.inputs))),
    "fan_in_normal": Start(lambda draws, _, fan: draws.normal() * math.sqrt(2 / fan.inputs)),
    "fan_sum_uniform": Start(
        lambda draws, _, fan: draws.uniform(math.sqrt(6 / (fan.inputs + fan.outputs)))
    ),
    "fan_sum_normal": Start(
        lambda draws, _, fan: draws.normal() / math.sqrt(fan.inputs + fan.outputs)
    ),
    "receiver_uniform": Start(lambda draws, _, fan: draws.uniform(1 / math.sqrt(fan.receivers))),
    # Feedback that starts as the layer's own W.
    "forward_weights": Start(None),
    # The seed picks a point of a 21 x 21 grid over [-value, value]^2.
    "grid": Start(None, needs_value=True),
}
