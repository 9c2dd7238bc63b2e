"""Indirect feedback alignment: the error enters at the first block and is carried forward."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
from flax import nnx

from bioflax._direct.base import Direct, Pass
from bioflax._direct.blocks import has_parameters
from bioflax._direct.stage import Block
from bioflax._pure import call


@dataclasses.dataclass(frozen=True)
class IndirectFeedbackAlignment(Direct):
    """Indirect feedback alignment (``"ifa"``): only the first block is sent the error.

        block 1 receives B_1 e        block l > 1 receives W_l d_{l-1}

    ``d_l`` is the error at the output of the block's last layer with parameters, ``W_l`` the Jacobian
    of the block up to there. Give blocks as lists, ``[layer, function]``, so that the two can be told
    apart, and of Flax's own layers: one under a rule has no forward derivative (JAX refuses it).

    Raises:
      ValueError: a ``Stack`` among the blocks; functions after the last layer that change the shape.

    Reference: Nokland 2016, Fig. 1d:

        @inproceedings{nokland2016direct,
          title={Direct feedback alignment provides learning in deep neural networks},
          author={N{\\o}kland, Arild},
          booktitle={Advances in Neural Information Processing Systems}, volume={29}, year={2016}}
    """

    name: ClassVar[str] = "ifa"
    keeps_inputs: ClassVar[bool] = True

    def check(self, stages: Sequence[Block], *, shared: bool, broadcast: bool) -> None:
        if any(stage.stacked for stage in stages):
            raise ValueError("mode='ifa' carries its signal through the blocks: give no Stack")

    def received(self, signals: list[jax.Array], forward: Pass) -> list[jax.Array]:
        x, floats, rests = forward.inputs
        signal, carried, delta = signals[0], [], None
        for i, h in enumerate(forward.hs):
            layer, function = _halves(forward.given, forward.graphs[i], floats[i], rests[i])
            if delta is None:
                a = layer(x)
            else:
                a, signal = jax.jvp(layer, (x,), (delta,))
            if signal.shape != h.shape:
                raise ValueError(
                    f"mode='ifa': in blocks[{i}] the functions after the last layer make {h.shape} of "
                    f"{a.shape}; they must keep the shape"
                )
            (delta,) = jax.vjp(function, a)[1](signal)
            carried.append(signal)
            x = h
        return carried

    def compared(self, matrices: list[jax.Array]) -> list[jax.Array]:
        return matrices[:1]


def _halves(given: dict[str, Any], *split: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A block up to its last layer with parameters, and the functions after that."""

    def run(h: jax.Array, *, after: bool) -> jax.Array:
        module = nnx.merge(*split, copy=True)
        parts = list(module.layers) if isinstance(module, nnx.Sequential) else [module]
        n = max((i + 1 for i, part in enumerate(parts) if has_parameters(part)), default=0)
        for part in parts[n:] if after else parts[:n]:
            h = call(part, h, given)
        return h

    return functools.partial(run, after=False), functools.partial(run, after=True)
