"""Direct feedback: the output error, or the target, goes straight to every block."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bioflax.feedback import Feedback
from bioflax.pure import apply, split
from bioflax.rules.base import Initializer
from bioflax.stack import Stack

MODES = ("dfa", "ifa", "sdfa", "drtp", "dkp", "bp")


def uniform_by_units(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """``U[-a, a]`` with ``a = 1 / sqrt(units of the receiving block)``, as in Nokland's code."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class DirectFeedback(nnx.Module):
    r"""A net whose blocks learn from the output error itself, not from one another.

    With blocks ``h_l = f_l(h_{l-1})``, output ``y = readout(h_L)`` and the error ``e = dL/dy``,
    block ``l`` receives, where backpropagation has ``dL/dh_l``:

        mode="dfa"   B_l e                           mode="drtp"  B_l y*, with y* = target
        mode="sdfa"  B_l sign(e)                     mode="dkp"   B_l e, and dB_l = e h_l'
        mode="ifa"   B_1 e if l = 1, else W_l d_l-1  mode="bp"    dL/dh_l itself

    ``y*`` and ``sign(e)`` go as they are, whatever the size of ``e``: a loss that is a mean over the
    batch makes ``e`` small and leaves these two, so take the sum, or scale the target.

    Inside a block the gradient is exact, between blocks nothing flows back, and the readout has its
    true gradient. So anything may stand in a block (pooling, dropout, normalisation, attention),
    and the backward passes of the blocks are independent of each other. In ``ifa``, ``d_l`` is the
    error at the output of the block's last layer with parameters, ``W_l`` the Jacobian of the block
    up to there; give blocks as lists, ``[layer, function]``, so that the two can be told apart, and
    of Flax's own layers: one under a rule has no forward derivative (JAX refuses it).

    The leading axes of the output, all but its last, count as batch axes and must lead every
    block's output too. For a sequence ``(batch, time, n_out)`` each step's error goes to its own
    step; where the readout pools over time, ``B_l`` covers all steps, or with ``broadcast`` the
    same signal is sent to each of them.

    Args:
      blocks: the hidden part in order. A block is a module, or a list of modules and functions. In
        a flat list, functions and modules without parameters (``jnp.tanh``, dropout) belong to the
        block before, so that the error enters after the nonlinearity. A ``Stack`` is many blocks.
      readout: the output module.
      mode: one of the above.
      feedback_init: initializer of ``B_l``, of shape ``(n_out, *units of block l)``; default
        ``U[-a, a]`` with ``a = 1 / sqrt(units of block l)``.
      example: an input, or its ``jax.ShapeDtypeStruct``, batch axes included; the feedback is then
        drawn and stored now. Not needed when the first layer is a ``Linear``. Without it a key is
        stored, and the same feedback is drawn anew in every call.
      shared: one matrix for all blocks, of which each takes as many columns as it has units.
      broadcast: ``B_l`` has a column for each feature of the last axis only; all positions (time
        steps, pixels) receive the same signal.
      rngs: stream ``feedback``.

    Attributes: ``blocks``, ``readout``, ``mode``; ``feedback``, the stored ``B_l`` (a list; for a
    ``Stack`` with a leading axis of its depth), or None.

    Raises:
      ValueError: an unknown mode; shapes that do not fit; ``drtp`` called without ``target``.
      TypeError: a block or the readout puts out something else than one array.

    Reference: Nokland 2016 (``dfa``, ``ifa``); Frenkel, Lefebvre, Bol 2021 (``sdfa``, ``drtp``);
    Webster, Choi, Ahn 2021 (``dkp``):

        @inproceedings{nokland2016direct,
          title={Direct feedback alignment provides learning in deep neural networks},
          author={N{\o}kland, Arild},
          booktitle={Advances in Neural Information Processing Systems}, volume={29}, year={2016}}

        @article{frenkel2021learning,
          title={Learning without feedback: Fixed random learning signals allow for feedforward
                 training of deep neural networks},
          author={Frenkel, Charlotte and Lefebvre, Martin and Bol, David},
          journal={Frontiers in Neuroscience}, volume={15}, pages={629892}, year={2021}}

        @misc{webster2021learning,
          title={Learning the connections in direct feedback alignment},
          author={Webster, Matthew Bailey and Choi, Jonghyun and Ahn, Changwook},
          howpublished={OpenReview}, year={2021}}

    >>> rngs = nnx.Rngs(0)
    >>> blocks = [nnx.Linear(3, 8, rngs=rngs), jnp.tanh, nnx.Linear(8, 6, rngs=rngs), jnp.tanh]
    >>> net = DirectFeedback(blocks, nnx.Linear(6, 2, rngs=rngs), rngs=rngs)
    >>> [b.shape for b in net.feedback]
    [(2, 8), (2, 6)]
    """

    def __init__(
        self,
        blocks: Sequence[Any],
        readout: nnx.Module,
        *,
        mode: str = "dfa",
        feedback_init: Initializer = uniform_by_units,
        example: Any = None,
        shared: bool = False,
        broadcast: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode={mode!r} is not a way of direct feedback; valid: {MODES}")
        if mode == "dkp" and (shared or broadcast):
            raise ValueError("mode='dkp' learns one weight per unit: no shared=, no broadcast=")
        self.blocks = nnx.List(_grouped([blocks] if isinstance(blocks, Stack) else blocks))
        self.readout = readout if isinstance(readout, nnx.Module) else nnx.Sequential(readout)
        self.mode = mode
        self.feedback_init = feedback_init
        self.shared = shared
        self.broadcast = broadcast
        if mode == "ifa" and any(isinstance(block, Stack) for block in self.blocks):
            raise ValueError("mode='ifa' carries its signal through the blocks: give no Stack")
        self._check_sharing()
        key = rngs.feedback()
        shapes = self._shapes(example)
        if shapes is None and mode == "dkp":
            raise ValueError("mode='dkp' learns its feedback and so must store it: give example=")
        kind = nnx.Param if mode == "dkp" else Feedback
        stored = None if shapes is None else nnx.List([kind(b) for b in self._draw(key, *shapes)])
        self.feedback: Any = nnx.data(stored)
        self.key: Any = nnx.data(Feedback(key) if shapes is None else None)

    def __call__(self, x: jax.Array, *, target: jax.Array | None = None) -> jax.Array:
        """The output for ``x``. ``target``: what ``drtp`` sends back, of the output's shape."""
        if self.mode == "drtp" and target is None:
            raise ValueError("mode='drtp' sends the target back: call the net with target=")
        if self.mode == "bp":
            for block in self.blocks:
                x = block(x)
            return self.readout(x)
        stages = self.stages()
        graphs, floats, rests = zip(*map(split, stages), strict=True)
        y, changed = self._net(graphs)(x, floats, rests, self._stored(), target)
        for module, state in zip(stages, changed, strict=True):
            nnx.update(module, state)
        return y

    def stages(self) -> list[nnx.Module]:
        """The modules whose states are split: of a stack, what is inside it."""
        return [*(b.layers if isinstance(b, Stack) else b for b in self.blocks), self.readout]

    def _is_stack(self, i: int) -> bool:
        return i < len(self.blocks) and isinstance(self.blocks[i], Stack)

    def _forward(self, graphs: Any, x: Any, floats: Any, rests: Any) -> tuple[Any, ...]:
        """Outputs, pullbacks and changed states of all stages, the readout's last."""
        hs, pulls, changed = [], [], []
        for i, (graph, *state) in enumerate(zip(graphs, floats, rests, strict=True)):
            # An error leaves the net only at its first block, to what comes before.
            step = functools.partial(_forward_step, graph, i == 0)
            if self._is_stack(i):
                x, (h, pull, new) = jax.lax.scan(step, x, tuple(state))
            else:
                x, (h, pull, new) = step(x, state)
            hs.append(h)
            pulls.append(pull)
            changed.append(new)
        return hs, pulls, changed

    def _net(self, graphs: Sequence[Any]) -> Callable[..., Any]:
        """The net as a function of its arrays, with the backward pass of the mode."""

        def forward(x: Any, floats: Any, rests: Any, b: Any, target: Any) -> Any:
            (*hs, y), pulls, changed = self._forward(graphs, x, floats, rests)
            inputs = (x, floats, rests) if self.mode == "ifa" else ()
            return (y, changed), (hs, pulls, inputs, b, target)

        def backward(kept: Any, cotangents: Any) -> Any:
            hs, pulls, inputs, b, target = kept
            e, _ = cotangents
            signals = self._signals(e, hs, b, target)
            if self.mode == "ifa":
                signals = _carried_on(graphs, inputs, hs, signals[0])
            grads, dx = [], None
            for i, (pull, signal) in enumerate(zip(pulls, [*signals, e], strict=True)):
                step = jax.vmap(_backward_step) if self._is_stack(i) else _backward_step
                grad, *dh = step(pull, signal)
                grads.append(grad)
                if i == 0:
                    dx = jax.tree.map(lambda d: d[0], dh[0]) if self._is_stack(0) else dh[0]
            db = self._outer_products(e, hs, b) if self.mode == "dkp" else None
            return dx, tuple(grads), None, db, None

        net = jax.custom_vjp(lambda *arrays: forward(*arrays)[0])
        net.defvjp(forward, backward)
        return net

    def _signals(self, e: Any, hs: Any, stored: Any, target: Any) -> list[jax.Array]:
        """What each block receives: the sent vector through the block's own matrix."""
        if self.mode == "drtp" and target.shape != e.shape:
            raise ValueError(f"target has shape {target.shape}, the net's output {e.shape}")
        # Of integers or floats: a target may be a one-hot vector of any type.
        sent = {"sdfa": jnp.sign(e), "drtp": target}.get(self.mode, e).astype(e.dtype)
        signals = []
        for i, (h, b) in enumerate(zip(hs, self.matrices(e, hs, stored), strict=True)):

            def send(b: jax.Array, h: jax.Array) -> jax.Array:
                signal = jnp.tensordot(sent, b.astype(sent.dtype), 1).astype(h.dtype)
                if self.broadcast:
                    over = tuple(range(e.ndim - 1, h.ndim - 1))
                    signal = jnp.broadcast_to(jnp.expand_dims(signal, over), h.shape)
                place = jax.typeof(h).sharding
                moved = jax.typeof(signal).sharding != place
                if moved:
                    signal = jax.sharding.reshard(signal, place)  # type: ignore[no-untyped-call]
                return signal

            signals.append(jax.vmap(send)(b, h) if self._is_stack(i) else send(b, h))
        return signals

    def _outer_products(self, e: jax.Array, hs: list[jax.Array], stored: Any) -> list[jax.Array]:
        def outer(h: jax.Array, b: jax.Array) -> jax.Array:
            # The gradient of e . (B h), so that JAX sums it over devices where it must.
            units = list(range(e.ndim - 1, h.ndim))

            def forward(b: jax.Array) -> jax.Array:
                to = list(range(1, b.ndim))
                return jnp.tensordot(h.astype(e.dtype), b.astype(e.dtype), (units, to))

            (db,) = jax.linear_transpose(forward, b)(e)
            return db

        products = [jax.vmap(outer) if self._is_stack(i) else outer for i in range(len(hs))]
        return [product(h, b) for product, h, b in zip(products, hs, stored, strict=True)]

    def _shapes(self, example: Any) -> tuple[Any, list[Any]] | None:
        """Of the output and of each block's, where they can be known before the first call."""
        inferred = example is None
        if inferred:
            example = _first_input(self.blocks[0])
        if example is None:
            return None
        graphs, floats, rests = zip(*map(split, self.stages()), strict=True)

        def outputs(x: Any, floats: Any, rests: Any) -> Any:
            return self._forward(graphs, x, floats, rests)[0]

        try:
            *hs, y = jax.eval_shape(outputs, example, floats, rests)
            for i, h in enumerate(hs):
                self._units(i, y, h)
        except Exception:
            if inferred:
                return None  # a guess that did not fit, in whatever way; the first call knows
            raise
        return y, hs

    def _units(self, i: int, y: Any, h: Any) -> tuple[int, ...]:
        """The shape of what block ``i`` receives, without batch axes."""
        shape = h.shape[1:] if self._is_stack(i) else h.shape
        batch = y.shape[:-1]
        if shape[: len(batch)] != batch or len(shape) == len(batch):
            raise ValueError(
                f"blocks[{i}] puts out an array of shape {shape}, the net one of shape {y.shape}: "
                f"the axes {batch} before the last must lead every block's output too"
            )
        return shape[-1:] if self.broadcast else shape[len(batch) :]

    def _draw(self, key: jax.Array, y: Any, hs: Sequence[Any]) -> list[jax.Array]:
        """The feedback as it is stored: one matrix per block, or one that all share."""
        shapes = [(y.shape[-1], *self._units(i, y, h)) for i, h in enumerate(hs)]
        if self.shared:
            widest = max(math.prod(shape[1:]) for shape in shapes)
            return [self.feedback_init(key, (y.shape[-1], widest), y.dtype)]
        drawn, first = [], 0
        for i, (shape, h) in enumerate(zip(shapes, hs, strict=True)):
            depth = h.shape[0] if self._is_stack(i) else 1
            keys = jax.vmap(functools.partial(jax.random.fold_in, key))(
                jnp.arange(first, first + depth)
            )
            first += depth
            # What learns has the precision of what learns beside it, not of the block's output.
            beside = jax.tree.leaves(nnx.state(self.blocks[i], nnx.Param))
            dtype = beside[0].dtype if self.mode == "dkp" and beside else h.dtype
            init = functools.partial(self.feedback_init, shape=shape, dtype=dtype)
            drawn.append(jax.vmap(init)(keys) if self._is_stack(i) else init(keys[0]))
        return drawn

    def matrices(self, y: Any, hs: Sequence[Any], stored: Any = None) -> list[jax.Array]:
        """Each block's ``B_l``, for arrays shaped like the output and like every block's output."""
        stored = self._stored() if stored is None else stored
        if not isinstance(stored, list):
            stored = self._draw(stored, y, hs)
        shapes = [(y.shape[-1], *self._units(i, y, h)) for i, h in enumerate(hs)]
        if self.shared:
            pieces = [stored[0][:, : math.prod(s[1:])].reshape(s) for s in shapes]
            depths = [h.shape[:1] if self._is_stack(i) else () for i, h in enumerate(hs)]
            return [jnp.broadcast_to(b, d + b.shape) for b, d in zip(pieces, depths, strict=True)]
        for i, (b, shape) in enumerate(zip(stored, shapes, strict=True)):
            found = b.shape[1:] if self._is_stack(i) else b.shape
            if found != shape:
                raise ValueError(
                    f"feedback[{i}] has shape {found}, but blocks[{i}] needs {shape}: (outputs, "
                    "*units); give example= with the input's full shape, batch axes included"
                )
        return stored

    def _stored(self) -> Any:
        """The stored feedback, or the key it is drawn from in every call."""
        return [b[...] for b in self.feedback] if self.key is None else self.key[...]

    def _check_sharing(self) -> None:
        owner: dict[int, int] = {}
        for i, module in enumerate(self.stages()):
            for path, value in nnx.iter_graph(module):
                if not isinstance(value, nnx.Variable) or isinstance(value, nnx.Param):
                    continue
                if owner.setdefault(id(value), i) != i:
                    name = "/".join(map(str, path))
                    raise ValueError(
                        f"{name} is in two blocks, {owner[id(value)]} and {i}: blocks run on their "
                        "own, and may share parameters but no other state"
                    )


def _forward_step(graph: Any, from_input: bool, h: Any, state: Any) -> tuple[Any, Any]:
    floats, rest = state
    if from_input:
        out, pull, new = jax.vjp(lambda f, h: apply(graph, f, rest, h), floats, h, has_aux=True)
    else:
        out, pull, new = jax.vjp(lambda f: apply(graph, f, rest, h), floats, has_aux=True)
    return out, (out, pull, new)


def _backward_step(pull: Any, signal: jax.Array) -> Any:
    return pull(signal)


def _carried_on(graphs: Any, inputs: Any, hs: list[Any], signal: jax.Array) -> list[jax.Array]:
    """Nokland's indirect feedback: the signal of the first block, carried forward by the net."""
    x, floats, rests = inputs
    signals, delta = [], None
    for i, h in enumerate(hs):
        layer, function = _halves(graphs[i], floats[i], rests[i])
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
        signals.append(signal)
        x = h
    return signals


def _halves(*split: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A block up to its last layer with parameters, and the functions after that."""

    def run(h: jax.Array, *, after: bool) -> jax.Array:
        module = nnx.merge(*split, copy=True)
        parts = list(module.layers) if isinstance(module, nnx.Sequential) else [module]
        n = max((i + 1 for i, part in enumerate(parts) if _has_parameters(part)), default=0)
        for part in parts[n:] if after else parts[:n]:
            h = part(h)
        return h

    return functools.partial(run, after=False), functools.partial(run, after=True)


def _has_parameters(part: Any) -> bool:
    return isinstance(part, nnx.Module) and bool(nnx.to_flat_state(nnx.state(part, nnx.Param)))


def _grouped(blocks: Sequence[Any]) -> list[nnx.Module]:
    """Blocks as modules; in a flat list, what has no parameters joins the layer before it."""
    groups: list[list[Any]] = []
    for part in blocks:
        several = isinstance(part, list | tuple | nnx.List)
        if not several and not callable(part):
            raise TypeError(f"blocks[{len(groups)}] is {part!r}: neither a module nor a function")
        lone = bool(groups) and not any(map(_has_parameters, groups[-1]))
        if groups and not several and (lone or not _has_parameters(part)):
            groups[-1].append(part)
        else:
            groups.append(list(part) if several else [part])
    if not groups:
        raise ValueError("blocks is empty: direct feedback needs at least one block")
    return [
        g[0] if len(g) == 1 and isinstance(g[0], nnx.Module) else nnx.Sequential(*g) for g in groups
    ]


def _first_input(block: nnx.Module) -> jax.ShapeDtypeStruct | None:
    layer = block.layers[0] if isinstance(block, nnx.Sequential) else block
    if isinstance(layer, nnx.Linear):
        return jax.ShapeDtypeStruct((1, layer.in_features), layer.param_dtype)  # type: ignore[no-untyped-call]
    return None
