"""Direct feedback: the output error, or the target, goes straight to every block."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from bioflax._direct.base import Direct, Pass, check_direct
from bioflax._direct.blocks import as_module, check_sharing, first_input, grouped
from bioflax._direct.stage import Block, stage
from bioflax._direct.weights import check_examples, draw, shapes, signals, uniform_by_units
from bioflax._feedback import Feedback
from bioflax._initializers import same
from bioflax._pure import apply, arguments, call, parted, split, takes
from bioflax._rules.base import Initializer
from bioflax._stack import Stack
from bioflax._streams import apart


class DirectFeedback(nnx.Module):
    r"""A net whose blocks learn from the output error itself, not from one another.

    With blocks ``h_l = f_l(h_{l-1})``, output ``y = readout(h_L)`` and the error ``e = dL/dy``,
    block ``l`` receives, where backpropagation has ``dL/dh_l``:

        mode="dfa"   B_l e                           mode="drtp"  B_l y*, with y* = target
        mode="sdfa"  B_l sign(e)                     mode="dkp"   B_l e, and dB_l = e h_l'
        mode="ifa"   B_1 e if l = 1, else W_l d_l-1  mode="bp"    dL/dh_l itself

    Each is an object too, with its equation and whom to cite (``mode=DirectFeedbackAlignment()``).
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
    same signal is sent to each of them, divided by the root of their number, so that it does not
    grow with it.

    Where the output is an image (batch, positions and features), blocks may have other numbers of
    positions: the error is resized to those of the block (``jax.image.resize``, linear), times the
    output's number of positions over the block's, so that the errors of the positions that one
    stands for add up; ``B_l`` is then ``(n_out, features)``. A block without positions receives the
    errors of all at once, ``B_l`` of shape ``(positions * n_out, *units)``.

    Where blocks have further inputs (a mask, an adjacency, a time step), call the net with them by
    name: each goes to the blocks, and to the parts of a listed block, that take an argument of that
    name. A gradient goes back to them from every block.

    Args:
      blocks: the hidden part in order. A block is a module, or a list of modules and functions. In
        a flat list, functions and modules without parameters (``jnp.tanh``, dropout) belong to the
        block before, so that the error enters after the nonlinearity. A ``Stack`` is many blocks.
      readout: the output module, or a list as for a block.
      mode: one of the above, or in this order ``DirectFeedbackAlignment()``,
        ``IndirectFeedbackAlignment()``, ``ErrorSignFeedback()``, ``DirectRandomTargetProjection()``,
        ``DirectKolenPollack()``, ``CentredFeedback()``, ``ExactFeedback()``.
      feedback_init: initializer of ``B_l``, of shape ``(n_out, *units of block l)``; default
        ``U[-a, a]`` with ``a = 1 / sqrt(units of block l)``.
      example: an input, or its ``jax.ShapeDtypeStruct``, batch axes included, or a pair of it and a
        dict of the inputs by name; the feedback is then
        drawn and stored now. Not needed when the first layer is a ``Linear``. Without it a key is
        stored, and the same feedback is drawn anew in every call.
      shared: one matrix for all blocks, of which each takes as many columns as it has units.
      broadcast: ``B_l`` has a column for each feature of the last axis only; all positions (time
        steps, pixels) receive the same signal.
      rngs: stream ``feedback``.

    Attributes: ``blocks``, ``readout``; ``mode``, the object; ``feedback``, the stored ``B_l`` (a list; for a
    ``Stack`` with a leading axis of its depth), or None.

    Raises:
      ValueError: an unknown mode; shapes that do not fit; an output without an axis of units, or first
        axes that are not all of the examples (seen with ``example``); ``drtp`` called without
        ``target``.
      TypeError: a block or the readout puts out something else than one array; an input by a name
        that no block takes.

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

    >>> import jax.numpy as jnp
    >>> rngs = nnx.Rngs(0)
    >>> blocks = [nnx.Linear(3, 8, rngs=rngs), jnp.tanh, nnx.Linear(8, 6, rngs=rngs), jnp.tanh]
    >>> net = DirectFeedback(blocks, nnx.Linear(6, 2, rngs=rngs), rngs=rngs)
    >>> [b.shape for b in net.feedback]
    [(2, 8), (2, 6)]
    """

    def __init__(
        self,
        blocks: Sequence[Any] | Stack,
        readout: Any,
        *,
        mode: str | Direct = "dfa",
        feedback_init: Initializer = uniform_by_units,
        example: Any = None,
        shared: bool = False,
        broadcast: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        self.mode = check_direct(mode)
        self.blocks = nnx.List(grouped([blocks] if isinstance(blocks, Stack) else blocks))
        self.readout = as_module(readout)
        self.feedback_init = same(feedback_init)
        self.shared = shared
        self.broadcast = broadcast
        self.mode.check(self._stages(), shared=shared, broadcast=broadcast)
        check_sharing(self._stages())
        key = apart(rngs).feedback()
        known = self._outputs(example)
        if known is None and self.mode.learns:
            raise ValueError(
                f"mode={self.mode.name!r} learns its feedback and so must store it: give example="
            )
        kind = self.mode.kind
        stored = None if known is None else nnx.List([kind(b) for b in draw(self, key, *known)])
        self.feedback: Any = nnx.data(stored)
        self.key: Any = nnx.data(Feedback(key) if known is None else None)

    def __call__(self, x: jax.Array, *, target: jax.Array | None = None, **given: Any) -> jax.Array:
        """The output for ``x``.

        Args:
          x: the input, with the batch first.
          target: what ``drtp`` sends back, of the output's shape.
          **given: other inputs by name (a mask, an adjacency, a time step), for every block and
            readout that takes one of that name.
        """
        if self.mode.needs_target and target is None:
            raise ValueError(
                f"mode={self.mode.name!r} sends the target back: call the net with target="
            )
        for name in given:
            if not any(takes(s.module, name) for s in self._stages()):
                raise TypeError(f"{name}= is an argument of no block, and not of the readout")
        if self.mode.exact:
            for block in [*self.blocks, self.readout]:
                x = call(block, x, given)
            return x
        stages = self._stages()
        graphs, floats, rests = zip(*(split(s.module) for s in stages), strict=True)
        varying, fixed, whole = parted(given)
        net = self._net(graphs, whole)
        y, changed = net(x, floats, rests, self._stored(), target, varying, fixed)
        for one, state in zip(stages, changed, strict=True):
            nnx.update(one.module, state)
        return y

    def _stages(self) -> list[Block]:
        """The blocks, and at the end the readout."""
        return [*map(stage, self.blocks), Block(self.readout)]

    def _stored(self) -> Any:
        """The stored feedback, or the key it is drawn from in every call."""
        return [b[...] for b in self.feedback] if self.key is None else self.key[...]

    def _name(self, i: int) -> str:
        return f"blocks[{i}]"

    def _forward(
        self, graphs: Any, x: Any, floats: Any, rests: Any, given: tuple[Any, Any, Any]
    ) -> tuple[Any, ...]:
        """Outputs, pullbacks and changed states of all stages, the readout's last."""
        found = []
        for i, (one, graph, *state) in enumerate(
            zip(self._stages(), graphs, floats, rests, strict=True)
        ):
            # An error leaves the net only at its first block, to what comes before.
            step = functools.partial(_forward_step, graph, i == 0, given)
            try:
                x, results = one.run(step, x, state)
            except (TypeError, ValueError) as error:
                error.add_note(f"in {self._name(i) if i < len(self.blocks) else 'readout'}")
                raise
            found.append(results)
        return tuple(map(list, zip(*found, strict=True)))

    def _net(self, graphs: Sequence[Any], whole: Callable[..., Any]) -> Callable[..., Any]:
        """The net as a function of its arrays, with the backward pass of the mode."""
        way, stages = self.mode, self._stages()

        def forward(
            x: Any, floats: Any, rests: Any, b: Any, target: Any, varying: Any, fixed: Any
        ) -> Any:
            given = (varying, fixed, whole)
            (*hs, y), pulls, changed = self._forward(graphs, x, floats, rests, given)
            inputs = (x, floats, rests) if way.keeps_inputs else ()
            return (y, changed), (hs, pulls, inputs, b, target, varying, fixed)

        def backward(kept: Any, cotangents: Any) -> Any:
            hs, pulls, inputs, b, target, varying, fixed = kept
            e, _ = cotangents
            done = Pass(stages, graphs, inputs, hs, target, whole(varying, fixed))
            sent = way.received(signals(self, e, done, b), done)
            # The readout comes last, and receives the error itself.
            found = [
                one.each(_backward_step)(pull, signal)
                for one, pull, signal in zip(stages, pulls, [*sent, e], strict=True)
            ]
            dx = stages[0].first(found[0][2])
            others = [one.total(grads[1]) for one, grads in zip(stages, found, strict=True)]
            others = jax.tree.map(lambda *each: sum(each), *others)
            grads = tuple(grad for grad, *_ in found)
            return dx, grads, None, way.gradients(e, done, b), None, others, None

        net = jax.custom_vjp(lambda *arrays: forward(*arrays)[0])
        net.defvjp(forward, backward)
        return net

    def _outputs(self, example: Any) -> tuple[Any, list[Any]] | None:
        """The net's output and each block's, in shapes, where they are known before the first call."""
        inferred = example is None
        if inferred:
            example = first_input(self.blocks[0])
        if example is None:
            return None
        (x,), named = arguments(example)
        graphs, floats, rests = zip(*(split(s.module) for s in self._stages()), strict=True)
        varying, fixed, whole = parted(named)

        def outputs(x: Any, varying: Any, fixed: Any, floats: Any, rests: Any) -> Any:
            return self._forward(graphs, x, floats, rests, (varying, fixed, whole))[0]

        def shaped(x: Any) -> Any:
            *hs, y = jax.eval_shape(outputs, x, varying, fixed, floats, rests)
            return y, hs

        try:
            y, hs = shaped(x)
            shapes(self, y, hs)
        except Exception:
            if inferred:
                return None  # a guess that did not fit, in whatever way; the first call knows
            raise
        check_examples(self, shaped, x, y, hs)
        return y, hs


def _forward_step(graph: Any, from_input: bool, given: Any, h: Any, state: Any) -> tuple[Any, Any]:
    floats, rest = state
    varying, fixed, whole = given

    def run(floats: Any, varying: Any, h: Any) -> Any:
        return apply(graph, floats, rest, h, whole(varying, fixed))

    if from_input:
        out, pull, new = jax.vjp(run, floats, varying, h, has_aux=True)
    else:
        out, pull, new = jax.vjp(lambda f, v: run(f, v, h), floats, varying, has_aux=True)
    return out, (out, pull, new)


def _backward_step(pull: Any, signal: jax.Array) -> Any:
    return pull(signal)
