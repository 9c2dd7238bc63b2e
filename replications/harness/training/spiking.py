"""The spiking network of Lillicrap et al. (2016), Fig. 4, as pure functions of a state.

The article's dynamics (its eq. 5 to 8, numbering not confirmed). Stochastic binary units; the error
travels down through fixed random weights B while the spikes travel up, and every synapse changes in every
time step. One time step t, for layers l = 1 .. L:

1. Up: ``V_l(t)`` from the spikes that the layer below gives in this same step (``forward``).
2. Down: ``U_L(t)`` from this step's output spikes, then ``U_l(t)`` from ``U_{l+1}(t)`` of this same
   step (``descend``). Top to bottom, so that an error reaches every layer in the step it is made in.
3. Plasticity: spikes, ``V_l`` and ``U_l`` of this same step; in use from the next step on
   (``factors``, ``learn``). ``logistic'`` is that of ``V_l(t)``, the potential whose spike caused
   the error, not of the one that the new weights would give.

Potentials and signals are not reset between images: the net does not know where an image begins.

Why the way down is not ``bioflax.FeedbackAlignment``: that rule replaces W by B in the backward pass
of a differentiated layer, and there is no backward pass here. U is a second set of leaky units, with
a memory that reaches over time steps and images, that runs along with the forward dynamics; it goes
through ``f_d`` and takes no ``logistic'`` on its way. Spikes have no gradient in the first place. What
the two share is the product with a fixed random B, which needs no rule.

Not in the article, and so chosen here: ``f_d(U) = tanh(slope U)`` ("a simple sigmoidal function
centred on 0": slope 1 is tanh, slope 1/2 is 2 logistic(U) - 1), and biases that start at 0.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

FIRST = 20
# Test images that go through together, which bounds the memory for their random numbers.
PIECE = 250

Layers = tuple[jax.Array, ...]
# ``(key, name) -> key``: the named random streams below a seed's key.
Stream = Callable[[jax.Array, str], jax.Array]


@dataclass(frozen=True)
class Net:
    """The article's network and its protocol. ``group``: output units of a class. ``steps``: time
    steps that an image is shown. ``brightest``: the largest probability of an input spike."""

    inputs: int = 784
    hidden: tuple[int, ...] = (1500, 1500, 1500)
    classes: int = 10
    group: int = 100
    steps: int = 5
    tau: float = 0.9
    slope: float = 1.0
    brightest: float = 0.95
    learning_rate: float = 1e-3
    weight_decay: float = 1e-8
    init: float = 0.05
    feedback_init: float = 0.1
    dtype: str = "float32"

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of every layer, the inputs first."""
        return (self.inputs, *self.hidden, self.classes * self.group)


class State(NamedTuple):
    """One run between two images.

    ``step``: images seen. ``trained``: W of every layer (senders + 1, units), over its decay (see
    ``remaining``); the last row is the biases, weights of a sender that always spikes. ``feedback``: B of
    every hidden layer (units, units above). ``potentials``, ``signals``: V and U of every layer.
    ``sums``: loss and wrong answers since the last record, and images counted.
    """

    step: jax.Array
    trained: Layers
    feedback: Layers
    potentials: Layers
    signals: Layers
    sums: jax.Array
    first_losses: jax.Array
    average_error: jax.Array


def remaining(net: Net, age: jax.Array) -> jax.Array:
    """What decay has left of a weight after ``age`` time steps, ``(1 - weight_decay)^age``.

    In float32 ``1 - 1e-8`` is 1, and 1e-8 of a weight is too little to change it: decay at each
    update would be no decay. So what is stored is ``W / remaining``, which decay leaves alone.
    """
    return jnp.exp(age * math.log1p(-net.weight_decay)).astype(net.dtype)


def forward(
    net: Net,
    weights: Layers,
    scale: jax.Array,
    potentials: Layers,
    x: jax.Array,
    uniforms: jax.Array,
) -> tuple[Layers, Layers]:
    """One time step up: the potentials of every layer, and the spikes, inputs first.

        V_l(t) = (1 - tau) V_l(t-1) + tau (W_l f(V_{l-1}(t)) + b_l)
        f(V) = 1 with probability logistic(V), else 0

    ``weights``: as stored, ``W_l / scale``. ``x`` (inputs,): an input spikes with probability
    ``min(x, brightest)``. ``uniforms`` (all units,) in [0, 1): a unit spikes where its probability is
    above its number.
    """
    places = [sum(net.widths[: i + 1]) for i in range(len(net.hidden) + 1)]
    dice = jnp.split(uniforms, places)
    spikes = [(dice[0] < jnp.minimum(x, net.brightest)).astype(net.dtype)]
    new = []
    for w, v, die in zip(weights, potentials, dice[1:], strict=True):
        new.append((1 - net.tau) * v + net.tau * scale * (_with_bias(spikes[-1]) @ w))
        spikes.append((die < jax.nn.sigmoid(new[-1])).astype(net.dtype))
    return tuple(new), tuple(spikes)


def descend(net: Net, feedback: Layers, signals: Layers, error: jax.Array) -> Layers:
    """One time step down: the modulatory signals of every layer.

        U_L(t) = (1 - tau) U_L(t-1) + tau error,    error = spikes - target
        U_l(t) = (1 - tau) U_l(t-1) + tau B_l f_d(U_{l+1}(t))

    ``error`` (outputs,). The output units have no B: an error unit of its own listens to each.
    """
    *below, top = signals
    new = [(1 - net.tau) * top + net.tau * error]
    for b, u in zip(reversed(feedback), reversed(below), strict=True):
        new.append((1 - net.tau) * u + net.tau * (b @ jnp.tanh(net.slope * new[-1])))
    return tuple(reversed(new))


def factors(net: Net, potentials: Layers, signals: Layers) -> Layers:
    """What a unit adds to its updates, ``f_d(U_l) logistic'(V_l)``; its senders' spikes are the rest."""
    p = [jax.nn.sigmoid(v) for v in potentials]
    return tuple(jnp.tanh(net.slope * u) * p * (1 - p) for u, p in zip(signals, p, strict=True))


def target(net: Net, y: jax.Array) -> jax.Array:
    """A class (classes,) as its output units' target: 1 for its group, which lies together."""
    return jnp.repeat(y, net.group, axis=-1)


def answer(net: Net, spikes: jax.Array) -> jax.Array:
    """Spikes of every class's group (classes,), from the output's spikes (steps, outputs)."""
    return spikes.reshape(-1, net.classes, net.group).sum((0, 2))


def learn(
    net: Net, state: State, x: jax.Array, y: jax.Array, uniforms: jax.Array
) -> tuple[State, jax.Array]:
    """Show one image; the state after it, and the output's spikes (steps, outputs).

    After each time step, with a 1 for the bias among the spikes:

        W_l <- (1 - weight_decay) W_l - learning_rate f(V_{l-1}(t)) (f_d(U_l(t)) logistic'(V_l(t)))'

    The article gives the update as proportional to the product; the error is spikes - target, so it
    descends. ``x`` (inputs,), ``y`` (classes,) one-hot, ``uniforms`` (steps, all units).
    """
    wanted = target(net, y)
    age = state.step * net.steps + jnp.arange(net.steps)

    def one(carry: tuple[Layers, Layers, Layers], now: Any) -> Any:
        weights, potentials, signals = carry
        age, uniforms = now
        potentials, spikes = forward(net, weights, remaining(net, age), potentials, x, uniforms)
        signals = descend(net, state.feedback, signals, spikes[-1] - wanted)
        rate = net.learning_rate / remaining(net, age + 1)
        # One expression, so that XLA passes over each W once, in place, and stores no product.
        weights = tuple(
            w - _with_bias(sent)[:, None] * (rate * factor)
            for w, sent, factor in zip(
                weights, spikes[:-1], factors(net, potentials, signals), strict=True
            )
        )
        return (weights, potentials, signals), spikes[-1]

    carry = state.trained, state.potentials, state.signals
    (weights, potentials, signals), output = jax.lax.scan(one, carry, (age, uniforms))
    loss = 0.5 * jnp.sum((output - wanted) ** 2) / net.steps
    wrong = jnp.argmax(answer(net, output)) != jnp.argmax(y)
    counted = jnp.stack([loss, wrong, jnp.ones_like(loss)]).astype(jnp.float32)
    after = State(
        step=state.step + 1,
        trained=weights,
        feedback=state.feedback,
        potentials=potentials,
        signals=signals,
        sums=state.sums + counted,
        first_losses=state.first_losses.at[state.step].set(loss, mode="drop"),
        average_error=state.average_error,
    )
    return after, output


def classify(net: Net, state: State, x: jax.Array, uniforms: jax.Array) -> jax.Array:
    """Spikes of every class's group (classes,) while an image is shown and nothing learns.

    The largest is the answer; of equal ones, the first. Every test image comes right after the last
    training image, with the potentials as they were left: no reset, and no order of the images.
    """
    scale = remaining(net, state.step * net.steps)

    def one(potentials: Layers, uniforms: jax.Array) -> tuple[Layers, jax.Array]:
        potentials, spikes = forward(net, state.trained, scale, potentials, x, uniforms)
        return potentials, spikes[-1]

    return answer(net, jax.lax.scan(one, state.potentials, uniforms)[1])


def trace(
    net: Net, state: State, x: jax.Array, y: jax.Array, uniforms: jax.Array, units: int = 50
) -> dict[str, jax.Array]:
    """Record some units of every layer while images are shown in turn and nothing learns.

    ``x`` (images, inputs), ``y`` (images, classes), ``uniforms`` (images, steps, all units); the
    steps an image may be others than in training. ``units`` of every layer, evenly over it: of the
    output, as many of each class. Returns ``spikes/<layer>``, ``potential/<layer>`` (V) and
    ``signal/<layer>`` (U), each (images, steps, units); of the input its spikes alone.
    """
    scale = remaining(net, state.step * net.steps)
    hidden = [f"hidden_{i}" for i in range(1, len(net.hidden) + 1)]
    names = ["input", *hidden, "readout"]

    def some(kind: str, names: list[str], layers: Layers) -> dict[str, jax.Array]:
        return {
            f"{kind}/{name}": a[jnp.arange(min(units, len(a))) * len(a) // min(units, len(a))]
            for name, a in zip(names, layers, strict=True)
        }

    def image(carry: tuple[Layers, Layers], shown: Any) -> Any:
        x, y, uniforms = shown
        wanted = target(net, y)

        def one(carry: tuple[Layers, Layers], uniforms: jax.Array) -> Any:
            potentials, signals = carry
            potentials, spikes = forward(net, state.trained, scale, potentials, x, uniforms)
            signals = descend(net, state.feedback, signals, spikes[-1] - wanted)
            seen = some("spikes", names, spikes)
            seen |= some("potential", names[1:], potentials) | some("signal", names[1:], signals)
            return (potentials, signals), seen

        return jax.lax.scan(one, carry, uniforms)

    return jax.lax.scan(image, (state.potentials, state.signals), (x, y, uniforms))[1]


def shown(
    net: Net, state: State, data: Any, steps: int, stream: Stream, images: int = 2, units: int = 50
) -> dict[str, jax.Array]:
    """What a picture of the net shows (Fig. 4): the first held-out images in turn, ``steps`` time steps each.

    ``traces/spikes_<layer>`` (images, units, steps) of some units; ``traces/potential_<layer>`` and
    ``traces/signal_<layer>`` (images, steps) of the first of them. The same random numbers at every record.
    """
    uniforms = draw(net, stream(jax.random.key(0), "traces"), images, steps)
    seen = trace(net, state, data.test_x[:images], data.test_y[:images], uniforms, units)
    values = {}
    for name, array in seen.items():
        kind, _, layer = name.partition("/")
        of_units = jnp.swapaxes(array, -1, -2)
        values[f"traces/{kind}_{layer}"] = of_units > 0 if kind == "spikes" else of_units[:, 0]
    return values


def draw(net: Net, key: jax.Array, *shape: int) -> jax.Array:
    """Uniform numbers (*shape, all units) for ``learn``, ``classify`` and ``trace``."""
    return jax.random.uniform(key, (*shape, sum(net.widths)), net.dtype)


class Program(NamedTuple):
    """The pure functions of one run, as ``replications.training`` has them; a step is an image."""

    start: Callable[[jax.Array], State]
    order: Callable[[jax.Array, jax.Array], jax.Array]
    advance: Callable[[State, jax.Array, jax.Array, Any, jax.Array], State]
    measure: Callable[[State, State, Any], tuple[State, dict[str, jax.Array]]]


def program(net: Net, examples: int, stream: Stream) -> Program:
    """The functions that train ``net`` on that many examples, in a new order every epoch."""

    def start(seed: jax.Array) -> State:
        key, widths = jax.random.key(seed), net.widths

        def uniform(name: str, layer: int, shape: tuple[int, int], scale: float) -> jax.Array:
            own = jax.random.fold_in(stream(key, name), layer)
            return jax.random.uniform(own, shape, net.dtype, -scale, scale)

        pairs = list(enumerate(itertools.pairwise(widths)))
        return State(
            step=jnp.int32(0),
            trained=tuple(
                jnp.pad(uniform("init", i, pair, net.init), ((0, 1), (0, 0))) for i, pair in pairs
            ),
            feedback=tuple(uniform("feedback", i, p, net.feedback_init) for i, p in pairs[1:]),
            potentials=tuple(jnp.zeros(n, net.dtype) for n in widths[1:]),
            signals=tuple(jnp.zeros(n, net.dtype) for n in widths[1:]),
            sums=jnp.zeros(3, jnp.float32),
            first_losses=jnp.full(FIRST, jnp.nan, net.dtype),
            average_error=jnp.float32(1),
        )

    def order(seed: jax.Array, epoch: jax.Array) -> jax.Array:
        key = jax.random.fold_in(stream(jax.random.key(seed), "order"), epoch)
        return jax.random.permutation(key, examples)

    def advance(
        state: State, seed: jax.Array, indices: jax.Array, data: Any, updates: jax.Array
    ) -> State:
        """``updates`` more images, in the order ``indices``. Donate ``state``: the weights are
        changed in place."""
        key = stream(jax.random.key(seed), "spikes")

        def one(_: jax.Array, state: State) -> State:
            chosen = indices[state.step % examples]
            uniforms = draw(net, jax.random.fold_in(key, state.step), net.steps)
            return learn(net, state, data.train_x[chosen], data.train_y[chosen], uniforms)[0]

        return jax.lax.fori_loop(0, updates, one, state)

    def measure(state: State, first: State, data: Any) -> tuple[State, dict[str, jax.Array]]:
        """The error on the test set, and on the training images since the last record. The latter
        flatters: weights learn in every step, so by its last one a net knows the image's class."""
        del first
        # The same numbers at every record and for every seed, so that what changes is the net.
        key = stream(jax.random.key(0), "test spikes")

        def wrong(example: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            i, x, y = example
            counts = classify(net, state, x, draw(net, jax.random.fold_in(key, i), net.steps))
            return jnp.argmax(counts) != jnp.argmax(y)

        places = jnp.arange(len(data.test_x))
        missed = jax.lax.map(
            wrong, (places, data.test_x, data.test_y), batch_size=min(PIECE, len(places))
        )
        seen = state.sums / state.sums[2]
        values = {
            "test_error": jnp.mean(missed.astype(jnp.float32)),
            "train_loss": seen[0],
            "train_error": seen[1],
        }
        error = jnp.where(state.sums[2] > 0, seen[1], 1.0)
        average = jnp.where(state.step > 0, 0.75 * state.average_error + 0.25 * error, 1.0)
        return state._replace(sums=jnp.zeros_like(state.sums), average_error=average), values

    return Program(start, order, advance, measure)


def _with_bias(spikes: jax.Array) -> jax.Array:
    return jnp.append(spikes, jnp.ones(1, spikes.dtype))
