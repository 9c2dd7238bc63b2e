"""The one place where a layer multiplies: a product that holds the layer's rule and its ``B``."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from bioflax._feedback import Op, decouple
from bioflax._rules.backprop import Backprop
from bioflax._rules.base import Layer, Rule
from bioflax._tap import Local, Watch, ones_back, tapped


@dataclasses.dataclass(frozen=True, eq=False)
class Where:
    """The path of a layer in the model that was converted, for errors to name it.

    All are equal: blocks that differ in nothing else share what is compiled for them.
    """

    path: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Where)

    def __hash__(self) -> int:
        return hash(Where)


class Product(nnx.Module):
    """A product of an input and a kernel whose error can be sent back through other weights.

    Forward ``y = op(x, W)``. Backward ``dx = op(., B)' dy``, ``dW = op(x, .)' dy`` with the ``B`` of
    its ``rule``; see ``decouple``. Under ``Backprop``, as it is made, it is ``op`` itself.

    Flax's layers take their product as an argument (``dot_general``, ``conv_general_dilated``,
    ``einsum_op``); ``convert`` puts one of these there. A layer of your own that multiplies by itself
    calls one, and everything here then knows the layer:

    >>> import bioflax, jax, jax.numpy as jnp
    >>> class Mine(nnx.Module):
    ...     def __init__(self, n_in, n_out, rngs):
    ...         self.kernel = nnx.Param(jax.random.normal(rngs.params(), (n_in, n_out)))
    ...         self.product = bioflax.Product(jnp.matmul)
    ...
    ...     def __call__(self, x):
    ...         return self.product(x, self.kernel[...])
    >>> rule = bioflax.FeedbackAlignment()
    >>> layer = bioflax.convert(Mine(3, 2, nnx.Rngs(0)), rule, rngs=nnx.Rngs(1))
    >>> layer.product.feedback.shape
    (3, 2)

    Args:
      op: ``(x, W) -> y``, linear in each argument. What ``W`` is before it multiplies (a reshape, a
        mask) belongs into ``op``, for ``B`` has the shape of the parameter.
      kernel: the name of the parameter that is ``W``, in the module whose attribute this is.
      first: the position of ``x`` among the arguments; ``W`` comes next (``jnp.einsum`` has 1).
      ndim: the number of axes of ``W`` in one layer; needed only for layers that ``nnx.vmap`` stacks,
        default all.

    Attributes: ``op``; ``kernel``; ``rule``; ``feedback``, what the rule keeps (``B``), or None.

    It is a module of its own inside the layer: ``nnx.iter_modules`` and ``nnx.tabulate`` list it.

    Raises:
      TypeError: called without an input and a kernel in their places.
      ValueError: a kernel with another number of axes than the rule drew feedback for.
    """

    def __init__(
        self,
        op: Callable[..., Any],
        kernel: str = "kernel",
        *,
        first: int = 0,
        ndim: int | None = None,
    ) -> None:
        # A product may itself be a module of Flax's, with state.
        self.op = nnx.data(op) if nnx.is_data(op) else nnx.static(op)
        self.kernel = kernel
        self.first = first
        self.ndim = ndim
        self.outputs = 0
        self.transposed = False
        self.rule: Rule = Backprop()
        self.feedback: Any = nnx.data(None)
        self.mask: Any = nnx.data(None)
        self.tap: Any = nnx.data(None)
        self.layer: Layer | None = None
        self.where = Where("")

    @property
    def __call__(self) -> Callable[..., jax.Array]:
        """``op`` of these arguments, its error going back as the rule says.

        A property: ``nnx.tabulate`` traces the arguments of every method it finds, and those of a
        product (dimension numbers, an einsum's letters) cannot be traced.
        """
        return self._call

    def _call(self, *args: Any, **kwargs: Any) -> jax.Array:
        n = self.first
        if len(args) < n + 2:
            raise TypeError(
                f"a product takes its input and its kernel as arguments {n} and {n + 1}"
            )
        before, (x, kernel), after = args[:n], args[n : n + 2], args[n + 2 :]

        def op(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return self.op(*before, x, kernel, *after, **kwargs)

        try:
            return self._carry(op, x, kernel)
        except (TypeError, ValueError) as error:
            where = self.where.path or "a layer"
            shapes = jax.numpy.shape(kernel), jax.numpy.shape(x)
            error.add_note(
                f"in the product of {where} with {self.kernel} of shape {shapes[0]}, called with an input of "
                f"shape {shapes[1]}"
            )
            raise

    def _carry(self, op: Op, x: jax.Array, kernel: jax.Array) -> jax.Array:
        """``op(x, kernel)``, with this product's rule, feedback and tap."""
        if isinstance(self.tap, Watch):
            return self.tap.run(op, x, kernel)
        if isinstance(self.tap, Local):
            x = ones_back(x)
        y = self._decoupled(op, x, kernel)
        return tapped(self.tap, y, kernel.shape)

    def _decoupled(self, op: Op, x: jax.Array, kernel: jax.Array) -> jax.Array:
        b = self._weights(kernel)
        if b is None and type(self.rule).gradient is Rule.gradient:
            return op(x, kernel)
        if b is None:
            b = kernel
        elif self.mask is not None:  # Flax has masked the kernel already.
            b = b * self.mask.astype(b.dtype)
        return decouple(op, shared=self.rule.shared, gradient=self.rule.gradient)(x, kernel, b)

    def _weights(self, kernel: jax.Array) -> jax.Array | None:
        """The ``B`` of a call with ``kernel``, before the mask; None for ``kernel`` itself."""
        if self.layer is None:
            return None
        if len(self.layer.shape) != kernel.ndim:
            raise ValueError(
                f"feedback was drawn for a kernel of shape {self.layer.shape}, not {kernel.shape}: "
                f"for stacked layers give Product(..., ndim={kernel.ndim})"
            )
        return self.rule.weights(dataclasses.replace(self.layer, feedback=self.feedback), kernel)


def layers(model: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """``nnx.iter_modules`` without the products, in their order: layers and what holds them."""
    return [(p, m) for p, m in nnx.iter_modules(model) if not isinstance(m, Product)]


def products(module: Any) -> list[tuple[str, Product]]:
    """The products that are attributes of ``module`` itself, by name."""
    return [(name, value) for name, value in vars(module).items() if isinstance(value, Product)]


def kernel_of(module: Any, product: Product) -> Any:
    """The parameter that ``module``'s ``product`` multiplies with."""
    kernel = getattr(module, product.kernel, None)
    if not isinstance(kernel, nnx.Variable):
        raise ValueError(
            f"{type(module).__name__} has a Product with kernel={product.kernel!r}, and no parameter "
            "of that name"
        )
    return kernel


def put_under(module: Any, name: str, rule: Rule, rngs: Any) -> None:
    """Let the product ``name`` of ``module`` follow ``rule``, with feedback of its own draws.

    Where ``nnx.vmap`` stacked several layers into this one, each has its own.
    """
    product = vars(module)[name]
    kernel = kernel_of(module, product)
    stacked = kernel.shape[: 0 if product.ndim is None else max(0, kernel.ndim - product.ndim)]
    if not stacked or rngs is None:
        _follow(module, name, rule, rngs)
        return

    def follow(module: Any, key: jax.Array) -> None:
        _follow(module, name, rule, nnx.Rngs(feedback=key))

    # Where arrays lie on a mesh is said with the stacked axes, and inside without.
    names = tuple(kernel.get_metadata().get("out_sharding") or ())[: len(stacked)]
    for axis in reversed(names or (None,) * len(stacked)):
        follow = nnx.vmap(follow, transform_metadata={nnx.PARTITION_NAME: axis})
    follow(module, jax.random.split(rngs.feedback(), stacked))


def _follow(module: Any, name: str, rule: Rule, rngs: Any) -> None:
    """New feedback where the rule wants one; the forward weights stay as they are.

    Called after the kernel and the bias are drawn: with a stream of its own, feedback shifts no
    other draw.
    """
    product = vars(module)[name]
    kernel = kernel_of(module, product)
    known = kernel.get_metadata()
    layer = Layer(
        shape=tuple(kernel.shape),
        dtype=kernel.dtype,
        outputs=product.outputs,
        transposed=product.transposed,
        place=tuple((n, known[n]) for n in ("out_sharding", "mesh") if known.get(n)),
    )
    feedback = rule.feedback(layer, rngs)
    product.rule = rule
    product.layer = layer
    product.feedback = nnx.data(feedback)
