"""What every decoupled layer shares: Flax's layer with its product swapped, a rule, a feedback."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import numpy as np
from flax import nnx

from bioflax.feedback import Op, decouple
from bioflax.rules.base import Initializer, Rule, check_rule
from bioflax.rules.feedback_alignment import DEFAULT

Product = Callable[..., jax.Array]


class Decoupled(nnx.Module):
    """A Flax layer whose error goes through weights of its own.

    To be inherited before the Flax layer, whose ``__init__`` and ``__call__`` stay whole.

    ``kernel_name``: the attribute with the forward weights. ``carrier``: the method that multiplies
    with them, and so carries the error back.
    """

    kernel_name: ClassVar[str] = "kernel"
    carrier: ClassVar[str] = "__call__"
    rule: Any
    feedback: Any

    def __init__(self, *args: Any, rule: Rule = DEFAULT, rngs: nnx.Rngs, **kwargs: Any) -> None:
        check_rule(rule)
        super().__init__(*args, rngs=rngs, **kwargs)  # type: ignore[call-arg]
        self.follow(rule, rngs)

    def follow(self, rule: Rule, rngs: Any) -> None:
        """Take up ``rule``: new feedback where it wants one, the forward weights as they are.

        Called after the kernel and the bias are drawn: with a stream of its own, feedback shifts
        no other draw. Raises ValueError where it is the kernel once more.
        """
        self.rule = rule
        feedback = rule.feedback(self, rngs)
        if isinstance(feedback, nnx.Variable) and _same_draw(feedback, self._kernel()):
            raise ValueError(
                f"{type(self).__name__}: the feedback is the kernel, number for number, so this would be "
                "backpropagation: the streams params and feedback have the same key; give them two "
                "seeds, as in nnx.Rngs(params=0, feedback=1)"
            )
        self.feedback = nnx.data(feedback)

    def _kernel(self) -> Any:
        return getattr(self, self.kernel_name)

    def draw(self, init: Initializer, key: jax.Array) -> jax.Array:
        """An array of the kernel's shape and dtype, drawn as Flax draws the kernel."""
        return init(key, self._kernel().shape, self._kernel().dtype)

    def placed(self) -> dict[str, Any]:
        """Where the kernel's axes lie on a mesh, as its variable says it."""
        known = self._kernel().get_metadata()
        return {name: known[name] for name in ("out_sharding", "mesh") if known.get(name)}

    def carry(self, op: Op, x: jax.Array, kernel: jax.Array, mask: Any = None) -> jax.Array:
        """``op(x, kernel)``, its error going back as the rule says. ``mask``: for ``B``."""
        b = self.rule.weights(self, kernel)
        if b is None:
            return op(x, kernel)
        if mask is not None:
            b = b * mask.astype(b.dtype)
        return decouple(op, shared=self.rule.shared)(x, kernel, b)


def _same_draw(feedback: Any, kernel: Any) -> bool:
    """Whether both are one draw, up to its signs. Not to be told of constants, nor while tracing."""
    a, b = feedback[...], kernel[...]
    for x in (a, b):
        if isinstance(x, jax.core.Tracer) or not getattr(x, "is_fully_addressable", False):
            return False
    if a.shape != b.shape:
        return False
    drawn = np.abs(np.asarray(b))
    return bool(np.ptp(drawn)) and np.array_equal(np.abs(np.asarray(a)), drawn)


class Swapped:
    """A data descriptor: the product the user gave, decoupled each time Flax's layer asks for it.

    ``first``: the position of the input among the product's arguments; the kernel comes next.
    """

    def __init__(self, default: Product | None, first: int = 0):
        self.default = default
        self.first = first

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, layer: Any, value: Any) -> None:
        vars(layer)[self.name] = value

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        if self.name not in vars(layer):
            raise AttributeError(self.name)
        given = vars(layer)[self.name]
        return self.decoupled(layer, self.default if given is None else given)

    def decoupled(self, layer: Decoupled, product: Any) -> Any:
        """``product``, called by ``layer``'s rule."""

        def call(*args: Any, **kwargs: Any) -> jax.Array:
            before, (x, kernel), after = (
                args[: self.first],
                args[self.first : self.first + 2],
                args[self.first + 2 :],
            )

            def op(x: jax.Array, kernel: jax.Array) -> jax.Array:
                return product(*before, x, kernel, *after, **kwargs)

            # Flax has masked the kernel already.
            return layer.carry(op, x, kernel, getattr(layer, "mask", None))

        return call


def shows_options(cls: type) -> type:
    """Give a layer the signature of the Flax layer it inherits, and ``rule``: for ``help``."""
    flax: Any = next(c for c in cls.__mro__ if c.__module__.startswith("flax."))
    parameters = list(inspect.signature(flax.__init__).parameters.values())[1:]
    n = sum(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in parameters)
    rule = inspect.Parameter(
        "rule", inspect.Parameter.KEYWORD_ONLY, default=DEFAULT, annotation=Rule
    )
    signature = inspect.Signature([*parameters[:n], rule, *parameters[n:]])
    cls.__signature__ = signature  # type: ignore[attr-defined]
    return cls
