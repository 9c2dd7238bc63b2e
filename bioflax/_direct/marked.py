"""Direct feedback in a model as it is: to the places that it marks itself, or that are named."""

import contextvars
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
from flax import nnx
from jax.extend.core import get_opaque_trace_state

from bioflax._direct.base import Direct, Pass, check_direct
from bioflax._direct.stage import Block
from bioflax._direct.weights import draw, signals, uniform_by_units
from bioflax._filters import name_of
from bioflax._initializers import same
from bioflax._layers.place import rewired
from bioflax._pure import arguments
from bioflax._rules.base import Initializer
from bioflax._streams import apart


def direct(h: jax.Array, *, name: str = "direct") -> jax.Array:
    """``h`` itself; the error that goes on from here is the output error, through a ``B`` of its own.

    To be called anywhere in a model's own ``__call__``. Forward it does nothing. Backward, the error
    that comes back to ``h`` is dropped, and what lies before it learns from ``B e``, with ``e`` the
    error at the output of the ``Marked`` model (``convert(model, DirectFeedbackAlignment(),
    example=x, rngs=rngs)``) in which this is called. Every call has its own ``B``.

    Args:
      h: an array of shape ``(batch, ..., units)``, such as the output of a block.
      name: what errors call it.

    Warns:
      UserWarning: called outside of a ``Marked`` model: then the error passes as in backpropagation.

    Raises:
      ValueError: called inside a ``scan``, ``vmap``, ``remat`` or ``jit`` of the model's own, out of
        which nothing could reach the output: call it on what comes out of that.
    """
    frame = _frame.get()
    if frame is None:
        warnings.warn(
            f"{name}(h) has no effect outside of a model under direct feedback: the error passes as in "
            "backpropagation; see bioflax.convert(model, bioflax.DirectFeedbackAlignment(), ...)",
            stacklevel=2,
        )
        return h
    return frame.mark(h, name)


class Marked(nnx.Module):
    """A model whose marked places learn from the output error, the rest of it by backpropagation.

    What lies between two marks is what a block is in ``DirectFeedback``: inside, the gradient is
    exact for the ``B_l e`` that it receives at its end. Where a way leads around a mark (a residual
    or a skip connection), the error takes it as in backpropagation: mark what is behind the sum.
    Outputs and places may be images; for their shapes see ``DirectFeedback``.

    Args:
      model: any NNX model that puts out one array; kept as it is.
      at: paths of modules whose outputs are marked too, as if ``direct`` were called on them.
      mode: a way of direct feedback, or its name; not ``ifa``, which needs blocks in a row.
      feedback_init: initializer of ``B_l``, of shape ``(n_out, *units)``; default as in
        ``DirectFeedback``.
      example: an input, or a tuple of them with a dict of those by name at its end.
      rngs: stream ``feedback``.

    Attributes: ``model``; ``mode``; ``feedback``, the ``B_l`` in the order in which marks are called.

    Raises:
      TypeError: no ``example``; an output that is not one array.
      ValueError: nothing is marked; other marks in a call than in the example; ``drtp`` called
        without ``target``.

    >>> import bioflax, jax.numpy as jnp
    >>> class Net(nnx.Module):
    ...     def __init__(self, rngs):
    ...         self.first, self.second = (nnx.Linear(4, 4, rngs=rngs) for _ in range(2))
    ...         self.readout = nnx.Linear(4, 2, rngs=rngs)
    ...
    ...     def __call__(self, x):
    ...         h = bioflax.direct(jnp.tanh(self.first(x)))
    ...         return self.readout(bioflax.direct(h + jnp.tanh(self.second(h))))
    >>> way = bioflax.DirectFeedbackAlignment()
    >>> net = bioflax.convert(Net(nnx.Rngs(0)), way, example=jnp.ones((1, 4)), rngs=nnx.Rngs(1))
    >>> [b.shape for b in net.feedback]
    [(2, 4), (2, 4)]
    """

    shared = False
    broadcast = False

    def __init__(
        self,
        model: Any,
        *,
        at: Sequence[tuple[Any, ...]] = (),
        mode: str | Direct = "dfa",
        feedback_init: Initializer = uniform_by_units,
        example: Any = None,
        rngs: nnx.Rngs,
    ) -> None:
        if example is None:
            raise TypeError(
                "the places of direct feedback are found by a call of the model: give example="
            )
        self.mode = check_direct(mode)
        if self.mode.keeps_inputs:
            raise ValueError(f"mode={self.mode.name!r} needs blocks in a row: use DirectFeedback")
        modules = dict(nnx.iter_modules(model))
        marks = [(modules[path], _Mark(modules[path], name_of(path))) for path in at]
        self.model = rewired(model, marks)
        self.feedback_init = same(feedback_init)
        args, kwargs = arguments(example)
        graph, state = nnx.split(self.model)
        names: list[str] = []

        def outputs(state: Any, args: Any) -> Any:
            with _entered(_Frame()) as frame:
                y = _one_array(nnx.merge(graph, state, copy=True)(*args, **kwargs))
            names[:] = frame.names
            return y, frame.places

        y, hs = jax.eval_shape(outputs, state, args)
        if not hs and not self.mode.exact:
            raise ValueError(
                f"nothing in this {type(model).__name__} is marked: give at=, or call bioflax.direct(h)"
            )
        self.names = tuple(names)
        drawn = draw(self, apart(rngs).feedback(), y, hs) if hs else []
        self.feedback: Any = nnx.List([self.mode.kind(b) for b in drawn])
        self.places: Any = nnx.data(None)

    def __call__(self, *args: Any, target: Any = None, **kwargs: Any) -> jax.Array:
        """The model's output. ``target``: what ``drtp`` sends back, of the output's shape."""
        if self.mode.needs_target and target is None:
            raise ValueError(f"mode={self.mode.name!r} sends the target back: give target=")
        if self.mode.exact:
            with _entered(_Inert(self.places)):
                y = _one_array(self.model(*args, **kwargs))
            return y if self.places is None else self.places[-1](y)
        with _entered(_Frame()) as frame:
            y = _one_array(self.model(*args, **kwargs))
        if tuple(frame.names) != self.names:
            raise ValueError(
                f"this call has the marks {frame.names}, the example had {list(self.names)}"
            )
        return self._sending()(y, frame.places, self._stored(), target)

    def _stored(self) -> list[jax.Array]:
        return [b[...] for b in self.feedback]

    def _stages(self) -> list[Block]:
        return [Block(nnx.List([])) for _ in self.names]

    def _name(self, i: int) -> str:
        return f"mark {i} ({self.names[i]})"

    def _sending(self) -> Callable[..., jax.Array]:
        """``y`` as it is, of whose error each place receives what the way makes of it."""
        way, stages = self.mode, self._stages()

        def backward(kept: Any, e: jax.Array) -> Any:
            hs, b, target = kept
            done = Pass(stages, (), (), hs, target, {})
            sent = way.received(signals(self, e, done, b), done)
            return e, sent, way.gradients(e, done, b), None

        send = jax.custom_vjp(lambda y, hs, b, target: y)
        send.defvjp(lambda y, hs, b, target: (y, (hs, b, target)), backward)
        return send


def fed(model: Any, way: Direct, at: Sequence[tuple[Any, ...]], example: Any, rngs: Any) -> Marked:
    """``model``, left as it is, under a way of direct feedback."""
    if rngs is None:
        raise TypeError(f"{way!r} draws feedback: give rngs=nnx.Rngs(...)")
    return Marked(nnx.clone(model), at=at, mode=way, example=example, rngs=rngs)


class _Mark(nnx.Module):
    """A module whose output is marked; all else that is asked of it is the module's."""

    def __init__(self, module: Any, name: str) -> None:
        self.module = module
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> jax.Array:
        y = self.module(*args, **kwargs)
        if not isinstance(y, jax.Array):
            raise TypeError(
                f"{self.name} puts out a {type(y).__name__}: only one array can be marked"
            )
        return direct(y, name=self.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "module" not in vars(self):
            raise AttributeError(name)
        return getattr(vars(self)["module"], name)


def _one_array(y: Any) -> jax.Array:
    if not isinstance(y, jax.Array):
        raise TypeError(f"the model puts out a {type(y).__name__}; direct feedback needs one array")
    return y


class _Frame:
    """The marks of one call of a model, in order: their places and names."""

    def __init__(self) -> None:
        self.places: list[jax.Array] = []
        self.names: list[str] = []
        self.trace = _trace()

    def mark(self, h: jax.Array, name: str) -> jax.Array:
        if _trace() != self.trace:
            raise ValueError(
                f"{name} is marked inside a scan, vmap, remat or jit of the model's own, out of which "
                "nothing reaches the output: mark what comes out of that"
            )
        h, place = _split(h)
        self.places.append(place)
        self.names.append(name)
        return h


def _trace() -> Any:
    return get_opaque_trace_state(convention="nnx")  # type: ignore[no-untyped-call]


class _Inert:
    """Marks that do nothing to the error; where there are places, each passes its own."""

    def __init__(self, places: Any) -> None:
        self.places = iter(() if places is None else places)

    def mark(self, h: jax.Array, name: str) -> jax.Array:
        del name
        place = next(self.places, None)
        return h if place is None else place(h)


_frame: contextvars.ContextVar[Any] = contextvars.ContextVar("frame", default=None)


@contextmanager
def _entered(frame: Any) -> Iterator[Any]:
    token = _frame.set(frame)
    try:
        yield frame
    finally:
        _frame.reset(token)


@jax.custom_vjp
def _split(h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``h`` twice: to go on with, and to hear through what it learns from."""
    return h, h


_split.defvjp(lambda h: ((h, h), None), lambda _, errors: (errors[1],))
