"""Product feedback alignment: backward weights that are the product of a learned and a fixed matrix."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
from flax import nnx
from flax.nnx import initializers

from bioflax._feedback import Feedback
from bioflax._initializers import same
from bioflax._rules.base import DrawnRule, Initializer, Layer

_uniform = initializers.variance_scaling(1.0, "fan_out", "uniform")


def uniform_by_columns(*args: Any, **kwargs: Any) -> Any:
    """``U[-a, a]`` with ``a = sqrt(3 / columns)``, so that ``E S S' = 1``."""
    return _uniform(*args, **kwargs)


@dataclasses.dataclass(frozen=True)
class ProductFeedback(DrawnRule):
    """Product feedback alignment: the error passes a fixed matrix, then one that learns.

    Backward ``dx = B dy`` with ``B = R S'``: ``S`` (outputs, middle) is fixed and random, and ``R``
    (inputs, middle) is a parameter with the gradient ``dR = dW S``. When SGD, with or without momentum,
    decays ``W`` and ``R`` by the fraction ``d``, decoupled from the gradient (see ``KolenPollack``):

        R(t) - W(t) S = (1 - d)^t (R(0) - W(0) S)

    whatever the data, the loss and the network. So ``B`` turns to ``W S S'``, which is ``W`` for an
    orthogonal ``S``; by default it ends at about ``arccos(1 / sqrt(1 + 1 / ratio))`` to ``W``, 17.5 degrees
    at 10. An optimiser that scales the step of each weight (Adam) breaks the law.

    The layer's ``feedback`` is ``[R, S]``. ``R`` has ``ratio`` times the parameters of ``W``: decay,
    clipping and parameter counts see them.

    Args:
      feedback_init: initializer of ``R``, called as a kernel's; default ``lecun_normal()``.
      ratio: columns of ``R`` and ``S`` for each output of the layer; the authors have 10.
      fixed_init: initializer of ``S``; the default makes ``E S S' = 1``. With ``ratio=1`` and
        ``nnx.initializers.orthogonal()`` it is the authors' PFA-o.

    Raises:
      ValueError: a ``ratio`` below 1.

    Reference: Li Ji-An and Benna 2024, and the code that they published:

        @misc{jian2024deep,
          title={Deep learning without weight symmetry},
          author={{Li Ji-An} and Benna, Marcus K.},
          eprint={2405.20594}, archivePrefix={arXiv}, primaryClass={cs.LG}, year={2024}}
    """

    shared: ClassVar[bool] = True
    ratio: int = 10
    fixed_init: Initializer = dataclasses.field(default=uniform_by_columns, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "fixed_init", same(self.fixed_init))
        if self.ratio < 1:
            raise ValueError(f"ratio={self.ratio} of product feedback must be at least 1")

    def feedback(self, layer: Layer, rngs: nnx.Rngs) -> Any:
        inputs, n_out = _matrix(layer)
        n_mid = self.ratio * n_out
        learned = Layer((*inputs, n_mid), layer.dtype, outputs=1 if layer.outputs else 0)
        drawn = learned.draw(self.feedback_init, rngs.feedback())
        fixed = self.fixed_init(rngs.feedback(), (n_out, n_mid), layer.dtype)
        return nnx.List([nnx.Param(drawn, **_placed(layer, drawn)), Feedback(fixed)])

    def weights(self, layer: Layer, kernel: jax.Array) -> jax.Array | None:
        del kernel
        learned, fixed = layer.feedback
        product = learned[...] @ fixed[...].T
        return product.T if layer.transposed else product.reshape(layer.shape)


def _matrix(layer: Layer) -> tuple[tuple[int, ...], int]:
    """The axes of the inputs, and the number of outputs."""
    if layer.transposed:
        return layer.shape[1:], layer.shape[0]
    n = layer.outputs or 1
    return layer.shape[:-n], math.prod(layer.shape[-n:])


def _placed(layer: Layer, drawn: jax.Array) -> dict[str, Any]:
    """Where the kernel lies on a mesh, for an array whose axes are the kernel's."""
    same_axes = drawn.ndim == len(layer.shape) and not layer.transposed
    return layer.placed() if same_axes else {}
