"""What a rule is: where a layer's backward weights come from, and what they learn from."""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
from flax import nnx
from flax.nnx import initializers

from bioflax._feedback import Feedback
from bioflax._initializers import same

Initializer = Callable[..., Any]

_lecun_normal = initializers.lecun_normal()


def lecun_normal(*args: Any, **kwargs: Any) -> Any:
    """Flax's own default for kernels: backward weights start like forward weights.

    One function, so that two rules made with the default are equal and share what is compiled for
    them, and one that has a name, so that they can be pickled.
    """
    return _lecun_normal(*args, **kwargs)


@dataclasses.dataclass(frozen=True)
class Layer:
    """What a rule sees of a layer that is put under it.

    Attributes:
      shape, dtype: the kernel's, in one layer.
      outputs: how many of the last axes are outputs, where Flax's initializers see the kernel as a
        matrix ``(inputs, outputs)``; else 0.
      transposed: the initializer sees the transpose (the table of an embedding).
      place: where the kernel's axes lie on a mesh, as its variable says it.
      feedback: in a call, what the rule's ``feedback`` gave.
    """

    shape: tuple[int, ...]
    dtype: Any
    outputs: int = 0
    transposed: bool = False
    place: tuple[tuple[str, Any], ...] = ()
    feedback: Any = None

    def draw(self, init: Initializer, key: jax.Array) -> jax.Array:
        """An array of the kernel's shape and dtype, drawn by ``init`` as Flax draws the kernel."""
        if self.transposed:
            return init(key, self.shape[::-1], self.dtype).T
        if not self.outputs:
            return init(key, self.shape, self.dtype)
        n_out = math.prod(self.shape[-self.outputs :])
        matrix = init(key, (math.prod(self.shape) // n_out, n_out), self.dtype)
        return matrix.reshape(self.shape)

    def placed(self) -> dict[str, Any]:
        """``place``, as arguments of a variable."""
        return dict(self.place)


@dataclasses.dataclass(frozen=True)
class Rule(abc.ABC):
    """How the error passes a layer: static, hashable, kept by the layer's product.

    ``shared``: the backward weights receive the gradient of the forward weights.

    A rule of your own says what the two methods say. One between feedback alignment (``mix=0``) and
    backpropagation (``mix=1``):

    >>> import bioflax
    >>> @dataclasses.dataclass(frozen=True)
    ... class Interpolation(bioflax.Rule):
    ...     mix: float
    ...
    ...     def feedback(self, layer, rngs):
    ...         return bioflax.FeedbackAlignment().feedback(layer, rngs)
    ...
    ...     def weights(self, layer, kernel):
    ...         return self.mix * kernel + (1 - self.mix) * layer.feedback[...]
    >>> layer = bioflax.Linear(3, 2, rule=Interpolation(0.5), rngs=nnx.Rngs(0))
    """

    shared: ClassVar[bool] = False

    @abc.abstractmethod
    def feedback(self, layer: Layer, rngs: nnx.Rngs) -> Any:
        """The ``feedback`` of a layer that takes up this rule."""

    @abc.abstractmethod
    def weights(self, layer: Layer, kernel: jax.Array) -> jax.Array | None:
        """The ``B`` the error goes through in this call; None for ``kernel`` itself."""

    def gradient(self, dw: jax.Array, x: jax.Array, dy: jax.Array) -> jax.Array:
        """What the kernel learns from in the place of its gradient ``dw``, for an input and an error."""
        del x, dy
        return dw


@dataclasses.dataclass(frozen=True)
class DrawnRule(Rule):
    """A rule whose feedback is drawn, kept from the optimiser, and what the error goes through."""

    feedback_init: Initializer = dataclasses.field(default=lecun_normal, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feedback_init", same(self.feedback_init))

    def feedback(self, layer: Layer, rngs: nnx.Rngs) -> Any:
        return Feedback(layer.draw(self.feedback_init, rngs.feedback()), **layer.placed())

    def weights(self, layer: Layer, kernel: jax.Array) -> jax.Array | None:
        del kernel
        return layer.feedback[...]


def check_rule(rule: Any) -> Rule:
    """``rule`` itself, or a TypeError that names it and the valid ones."""
    if not isinstance(rule, Rule):
        valid = ", ".join(sorted(f"{cls.__name__}()" for cls in _concrete(Rule)))
        raise TypeError(f"rule={rule!r} is not a rule; valid: {valid}")
    return rule


def _concrete(cls: type) -> list[type]:
    subclasses: list[type] = cls.__subclasses__()
    return [c for sub in subclasses for c in _concrete(sub)] or [cls]
