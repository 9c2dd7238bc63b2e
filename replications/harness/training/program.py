"""Training as pure functions of a state: draw, advance by some updates, measure.

``start``, ``order``, ``advance`` and ``measure`` know one seed. What runs many seeds (one after
the other through the same executable, or all at once under vmap) is ``replications.simulate``.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import bioflax
from replications.harness.catalogue.rules import RULES
from replications.harness.training import blocked, networks, spiking
from replications.harness.training.losses import example_loss, is_wrong, objective
from replications.harness.training.measures import Measures
from replications.harness.training.optimizers import optimizer
from replications.harness.training.streams import stream
from replications.harness.training.tasks import Data, Task

if TYPE_CHECKING:
    from replications.harness.declared.spec import RunSpec

FIRST = 20


class State(NamedTuple):
    """One run between two updates. ``rest``: feedback, random counts. ``sums``: loss and wrong
    answers since the last record, and examples counted. ``first_losses``: of the first updates."""

    step: jax.Array
    trained: Any
    rest: Any
    optimizer: Any
    sums: jax.Array
    first_losses: jax.Array
    average_error: jax.Array


class Program(NamedTuple):
    """The pure functions of one cell, and how long it is. ``shuffled``: every epoch has an order of
    its own; else the one order serves all. ``update``: what ``advance`` repeats, where it is also to be
    had alone."""

    start: Callable[[jax.Array], State]
    order: Callable[[jax.Array, jax.Array], jax.Array]
    advance: Callable[[State, jax.Array, jax.Array, Data, jax.Array], State]
    measure: Callable[[State, State, Data], tuple[State, dict[str, jax.Array]]]
    features: Callable[[State, Data], dict[str, jax.Array]]
    shuffled: bool
    steps_per_epoch: int
    steps: int
    update: Callable[[State, jax.Array, jax.Array, Data], State] | None = None

    def stretches(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """From one number of updates to another: (epoch of the order, updates) for each order."""
        # Without shuffling the first order serves all epochs, and none of their borders matters.
        per_order = self.steps_per_epoch if self.shuffled else self.steps + 1
        while begin < end:
            epoch = begin // per_order
            updates = min(end, (epoch + 1) * per_order) - begin
            yield epoch, updates
            begin += updates


def program(spec: "RunSpec", task: Task) -> Program:
    """The functions that train ``spec`` on ``task``; only the shapes of ``task`` are used here."""
    if spec.spiking is not None:
        return _spiking(spec, task)
    examples, outputs = task.data.train_y.shape
    batch = min(spec.batch, examples)
    steps_per_epoch = spec.updates_per_pass(examples)
    input_shape = task.data.train_x.shape[1:]
    loss, wrong = example_loss(spec), is_wrong(outputs)
    learns_from = objective(spec, loss)
    rule, update = RULES[spec.rule], optimizer(spec, steps_per_epoch)
    trained = _trained(spec)

    def draw(seed: jax.Array) -> nnx.Module:
        return networks.build(spec, input_shape, outputs, seed)

    # The structure of the model is the same for every seed; only its arrays differ.
    skeleton = nnx.eval_shape(lambda: draw(jnp.uint32(0)))
    graph = nnx.split(skeleton, trained, ...)[0]
    skeleton.eval()
    still = nnx.split(skeleton, trained, ...)[0]

    def start(seed: jax.Array) -> State:
        _, weights, rest = nnx.split(draw(seed), trained, ...)
        if spec.mirror_first:
            noise = stream(jax.random.key(seed), "mirror_first")
            rest = jax.lax.fori_loop(
                0,
                spec.mirror_first,
                lambda i, rest: after_update(weights, rest, jax.random.fold_in(noise, i)),
                rest,
            )
        return State(
            step=jnp.int32(0),
            trained=weights,
            rest=rest,
            optimizer=update.init(weights),
            sums=jnp.zeros(3, jnp.float32),
            first_losses=jnp.full(FIRST, jnp.nan, jnp.dtype(spec.dtype)),
            average_error=jnp.float32(1),
        )

    def order(seed: jax.Array, epoch: jax.Array) -> jax.Array:
        """The examples' order in an epoch, padded or cut to whole batches."""
        indices = jnp.arange(examples)
        if task.shuffle:
            key = jax.random.fold_in(stream(jax.random.key(seed), "order"), epoch)
            indices = jax.random.permutation(key, examples)
        indices = indices[: steps_per_epoch * batch]
        return jnp.pad(indices, (0, steps_per_epoch * batch - len(indices)))

    def batch_loss(weights, rest, x, y, present, key):
        model = nnx.merge(graph, weights, rest, copy=True)
        if rule.perturbs:
            value, z = _node_perturbation(model, loss, x, y, present, spec.perturbation, key)
        else:
            values, z = learns_from(model, x, y)
            value = jnp.sum(values * present)
        if spec.reduction == "mean":
            value = value / jnp.sum(present)
        return value, (z, nnx.split(model, trained, ...)[2])

    def attacked(weights, rest, x, y, present, key):
        """Fast-sign adversarial inputs, through exact backprop whatever the rule."""

        def of_input(x):
            model = bioflax.convert(nnx.merge(graph, weights, rest, copy=True), bioflax.Backprop())
            return jnp.sum(loss(model(x), y) * present)

        return x + spec.adversarial * jnp.sign(jax.grad(of_input)(x))

    def after_update(weights, rest, key):
        model = nnx.merge(graph, weights, rest, copy=True)
        getattr(bioflax, rule.after_update)(model, key)
        return nnx.split(model, trained, ...)[2]

    def one_update(state: State, seed: jax.Array, indices: jax.Array, data: Data) -> State:
        place = state.step % steps_per_epoch * batch
        chosen = jax.lax.dynamic_slice(indices, (place,), (batch,))
        x, y = data.train_x[chosen], data.train_y[chosen]
        present = (place + jnp.arange(batch) < examples).astype(x.dtype)
        return learn(state, seed, x, y, present)[0]

    def learn(
        state: State, seed: jax.Array, x: jax.Array, y: jax.Array, present: jax.Array
    ) -> tuple[State, Any]:
        """An update by a batch; and what it has added to the weights."""
        key = None
        if rule.noisy:
            key = jax.random.fold_in(stream(jax.random.key(seed), "noise"), state.step)
        if spec.adversarial:
            x = attacked(state.trained, state.rest, x, y, present, key)
        (_, (z, rest)), gradient = jax.value_and_grad(batch_loss, has_aux=True)(
            state.trained, state.rest, x, y, present, key
        )
        free = _free(spec, state.step, steps_per_epoch)
        gradient = _layers_times(free, gradient)
        updates, moments = update.update(gradient, state.optimizer, state.trained)
        updates = _layers_times(free, updates)  # nor do their weights decay
        weights = optax.apply_updates(state.trained, updates)
        if rule.after_update:
            rest = after_update(weights, rest, key)
        losses = loss(z, y) * present
        total = jnp.sum(losses)
        counted = jnp.stack([total, jnp.sum(wrong(z, y) * present), jnp.sum(present)])
        learnt = State(
            step=state.step + 1,
            trained=weights,
            rest=rest,
            optimizer=moments,
            sums=state.sums + counted.astype(jnp.float32),
            first_losses=state.first_losses.at[state.step].set(
                total / jnp.sum(present), mode="drop"
            ),
            average_error=state.average_error,
        )
        return learnt, updates

    def advance(
        state: State,
        seed: jax.Array,
        indices: jax.Array,
        data: Data,
        updates: jax.Array,
    ) -> State:
        """``updates`` more updates, with the examples in the order ``indices``."""
        if spec.block:

            def learn_one(state: State, x: jax.Array, y: jax.Array) -> tuple[State, Any]:
                return learn(state, seed, x, y, jnp.ones(1, x.dtype))

            decay = blocked.decay_of(spec.optimizer)
            return blocked.advance(state, indices, data, updates, learn_one, spec.block, decay)
        return jax.lax.fori_loop(
            0, updates, lambda _, state: one_update(state, seed, indices, data), state
        )

    measures = Measures(spec, still, loss, wrong)

    def measure(state: State, first: State, data: Data) -> tuple[State, dict[str, jax.Array]]:
        """What the spec asks for, at the present weights; the running sums begin anew.

        ``first``: the state that the run began with.
        """
        values = measures(state, first, data)
        seen = state.sums / state.sums[2]
        values["train_loss"], values["train_error"] = seen[0], seen[1]
        error = jnp.where(state.sums[2] > 0, seen[1], 1.0)
        average = jnp.where(state.step > 0, 0.75 * state.average_error + 0.25 * error, 1.0)
        return state._replace(sums=jnp.zeros_like(state.sums), average_error=average), values

    steps = steps_per_epoch * spec.epochs
    return Program(
        *(start, order, advance, measure, measures.features, task.shuffle, steps_per_epoch, steps),
        update=one_update if spec.network.convolutions else None,
    )


def _spiking(spec: "RunSpec", task: Task) -> Program:
    """The program of a spiking net, of which an update is an image."""
    examples, classes = task.data.train_y.shape
    block, sgd = spec.spiking, spec.optimizer.sgd
    assert block is not None
    assert sgd is not None
    net = spiking.Net(
        inputs=task.data.train_x.shape[1],
        hidden=tuple(spec.network.hidden),
        classes=classes,
        group=block.group,
        steps=block.steps,
        tau=block.tau,
        slope=block.slope,
        brightest=block.brightest,
        learning_rate=sgd.learning_rate,
        weight_decay=spec.optimizer.weight_decay,
        init=spec.network.init.value,
        # Without feedback the hidden layers stay as they were drawn, their decay apart.
        feedback_init=0.0 if RULES[spec.rule].readout_only else spec.network.feedback_init.value,
        dtype=spec.dtype,
    )
    found = spiking.program(net, examples, stream)

    def measure(
        state: spiking.State, first: spiking.State, data: Data
    ) -> tuple[spiking.State, dict[str, jax.Array]]:
        state, values = found.measure(state, first, data)
        if "test_error" not in spec.measures:
            del values["test_error"]
        if "traces" in spec.measures:
            values |= spiking.shown(net, state, data, block.traced, stream)
        return state, values

    return Program(
        found.start,
        found.order,
        found.advance,
        measure,
        lambda state, data: {},
        True,
        examples,
        examples * spec.epochs,
    )


def _trained(spec: "RunSpec") -> Any:
    """Which variables learn: all parameters, or the readout's alone in a shallow net."""
    alone = RULES[spec.rule].readout_only
    return nnx.All(nnx.Param, nnx.PathContains("readout")) if alone else nnx.Param


def _free(spec: "RunSpec", step: jax.Array, steps_per_epoch: int) -> dict[str, jax.Array]:
    """Layers that are frozen at some time -> whether they learn in this update."""
    free: dict[str, jax.Array] = {}
    if spec.frozen_epochs:
        free["hidden_1"] = step >= spec.frozen_epochs * steps_per_epoch
    for phase in spec.frozen:
        learns = step < phase.from_step
        if phase.to_step is not None:
            learns |= step >= phase.to_step
        for name in phase.layers:
            free[name] = free.get(name, True) & learns
    return free


def _layers_times(factors: dict[str, jax.Array], gradient: Any) -> Any:
    """``gradient`` with those of some layers multiplied by their factors."""
    if not factors:
        return gradient

    def scaled(path: tuple[Any, ...], value: Any) -> Any:
        layer = f"hidden_{path[1] + 1}" if path[0] == "blocks" else path[0]
        factor = factors.get(layer)
        return value if factor is None else jax.tree.map(lambda g: g * factor, value)

    flat = nnx.to_flat_state(gradient)
    return nnx.from_flat_state([(path, scaled(path, value)) for path, value in flat])


def _node_perturbation(model, loss, x, y, present, deviation, key):
    """Hidden units learn from noise and one global reward: dh = (L(h + noise) - L(h)) noise / s^2.

    The readout learns by its exact gradient, as in Lillicrap et al. (2014), Fig. 1d.
    """
    h = model.hidden(x)
    z = model.readout(jax.lax.stop_gradient(h))
    noise = deviation * jax.random.normal(key, h.shape, h.dtype)
    change = (loss(model.readout(h + noise), y) - loss(z, y)) * present
    signal = jax.lax.stop_gradient(change[..., None] * noise / deviation**2)
    return jnp.sum(loss(z, y) * present) + jnp.sum(signal * h), z
