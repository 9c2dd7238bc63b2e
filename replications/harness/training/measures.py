"""What is measured during training, at fixed parameters and without dropout.

Each measure of the catalogue is the function of its name here: ``(Net) -> {name or name/layer:
scalar}``. ``train_loss`` and ``train_error`` are running sums of training itself.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

import bioflax
from replications.harness.training.losses import OnOutput, objective
from replications.harness.training.networks import by_layer, layers
from replications.harness.training.tasks import Data

if TYPE_CHECKING:
    from replications.harness.declared.spec import RunSpec

# Test sets go through in pieces of this size, which bounds the memory of wide and conv nets.
PIECE = 1000
# One pass over the test set gives the tests, one alignment both kinds of angles.
TESTS = ("test_loss", "test_nse", "test_nse_variance", "test_error")
ANGLES = ("delta_angle", "weight_angle")
# Hidden units whose own angle is taken: the first so many, since all are drawn alike.
UNITS = 10
# And those whose receptive field is kept.
FIELDS = 12
Values = dict[str, jax.Array]


class Net:
    """A net at one moment of training, and what its measures need.

    ``model`` is a new copy each time: one measure's work cannot leak into another's.
    """

    def __init__(self, measures: "Measures", state: Any, first: Any, data: Data):
        self.spec, self.loss, self.wrong = measures.spec, measures.loss, measures.wrong
        self.graph, self.state, self.first, self.data = measures.graph, state, first, data

    @property
    def model(self) -> Any:
        return _merged(self.graph, self.state)

    @property
    def start(self) -> Any:
        """The net as training began with it."""
        return _merged(self.graph, self.first)

    @property
    def probe(self) -> tuple[jax.Array, jax.Array]:
        """The held-out examples of angles and features."""
        return self.data.test_x[: self.spec.probe], self.data.test_y[: self.spec.probe]

    def total_loss(self, model: nnx.Module, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, y = batch
        return jnp.sum(objective(self.spec, self.loss)(model, x, y)[0])


def _merged(graph: Any, state: Any) -> Any:
    return nnx.merge(graph, state.trained, state.rest, copy=True)


class Measures:
    """The measures of a spec: ``(state, first state, data) -> {name or name/layer: scalar}``."""

    def __init__(self, spec: "RunSpec", graph: Any, loss: OnOutput, wrong: OnOutput):
        self.spec, self.graph = spec, graph
        self.loss, self.wrong = loss, wrong

    def __call__(self, state: Any, first: Any, data: Data) -> Values:
        net = Net(self, state, first, data)
        asked = self.spec.measures
        values: Values = {}
        for group in (TESTS, ANGLES):
            if names := [name for name in asked if name in group]:
                together = {"test_loss": tests, "delta_angle": angles}[group[0]](net)
                values |= {k: v for k, v in together.items() if k.partition("/")[0] in names}
        for name in asked:
            if name in ALONE:
                values |= ALONE[name](net)
        return values

    def features(self, state: Any, data: Data) -> Values:
        """``features/hidden_k`` (probe, units): what every hidden layer puts out. No scalars, and so
        not among the records."""
        net = Net(self, state, state, data)
        return {f"features/{name}": h for name, h in _hidden(net.model, net.probe[0]).items()}


def tests(net: Net) -> Values:
    """Loss, normalised squared error and error on the test set.

    The squared error is normalised by the targets' squared length, ``sum (z - y)^2 / sum y^2``, and by their
    variance: over that of the mean target as a model, ``sum (y - mean y)^2``, which is the article's NSE.
    """
    graph, state = nnx.split(net.model)

    def output(x: jax.Array) -> jax.Array:
        return nnx.merge(graph, state, copy=True)(x[None])[0]

    x, y = net.data.test_x, net.data.test_y
    z = jax.lax.map(output, x, batch_size=min(PIECE, len(x)))
    return {
        "test_loss": jnp.mean(net.loss(z, y)),
        "test_nse": jnp.sum((z - y) ** 2) / jnp.sum(y**2),
        "test_nse_variance": jnp.sum((z - y) ** 2) / jnp.sum((y - jnp.mean(y, axis=0)) ** 2),
        "test_error": jnp.mean(net.wrong(z, y)),
    }


def angles(net: Net) -> Values:
    """Of the error signals to backprop's, and between forward and backward weights."""
    found = bioflax.alignment(net.model, net.total_loss, net.probe)
    by_name = {"delta_angle": found.deltas, "weight_angle": found.weights}
    return {
        f"{name}/{layer}": angle
        for name, of_paths in by_name.items()
        for layer, angle in by_layer(of_paths).items()
    }


def pseudo_angle(net: Net) -> Values:
    """Between the rule's error signal and that of the readout's pseudo-inverse, pinv(W) e."""
    model = net.model
    ours = bioflax.signals(model, net.total_loss, net.probe)
    model.readout.feedback[...] = jnp.linalg.pinv(model.readout.kernel[...]).T
    theirs = bioflax.signals(model, net.total_loss, net.probe)
    between = {path: jnp.mean(jax.vmap(bioflax.angle)(ours[path], theirs[path])) for path in ours}
    named = by_layer(between)
    return {f"pseudo_angle/{name}": a for name, a in named.items() if name != "readout"}


def unit_angle(net: Net) -> Values:
    """Of single hidden units: between the weights out of one (a column of W) and its feedback (a row of B)."""
    readout = net.model.readout
    pairs = zip(readout.kernel[...][:UNITS], readout.feedback[...], strict=False)
    return {f"unit_angle/unit_{j}": bioflax.angle(w, b) for j, (w, b) in enumerate(pairs, 1)}


def activity_cosine(net: Net) -> Values:
    """Of every hidden layer: the cosine between the activities of two held-out examples, all pairs' mean."""
    values = {}
    for name, h in _hidden(net.model, net.probe[0]).items():
        n, unit = len(h), h / jnp.linalg.norm(h, axis=1, keepdims=True)
        # The squared length of the sum is n and every pair twice.
        values[f"activity_cosine/{name}"] = (jnp.sum(jnp.sum(unit, 0) ** 2) - n) / (n * (n - 1))
    return values


def _hidden(model: Any, h: jax.Array) -> Values:
    """What every hidden layer puts out, ``hidden_k`` (examples, units)."""
    found = {}
    for k, block in enumerate(model.blocks, 1):
        h = block(h)
        found[f"hidden_{k}"] = h.reshape(len(h), -1)
    return found


def gap(net: Net) -> Values:
    """|W - B| of every layer."""
    return {
        f"gap/{name}": jnp.linalg.norm(layer.kernel[...] - layer.feedback[...])
        for name, layer in layers(net.model).items()
    }


def law_error(net: Net) -> Values:
    """|W - B - (1 - decay)^t (W0 - B0)| over |W0 - B0|: 0 is Kolen and Pollack's law."""
    before, now = layers(net.start), layers(net.model)
    left = (1 - net.spec.optimizer.weight_decay) ** net.state.step.astype(net.spec.dtype)
    values = {}
    for name, layer in now.items():
        apart = before[name].kernel[...] - before[name].feedback[...]
        error = layer.kernel[...] - layer.feedback[...] - left * apart
        values[f"law_error/{name}"] = jnp.linalg.norm(error) / jnp.linalg.norm(apart)
    return values


def weight(net: Net) -> Values:
    """The first weight of every layer."""
    return {f"weight/{name}": layer.kernel[0, 0] for name, layer in layers(net.model).items()}


def invariant_drift(net: Net) -> Values:
    """|B W + W' B' - A A'| over |B W + W' B'|, which learning from zero weights keeps at 0."""
    found = layers(net.model)
    a, w = found["hidden_1"].kernel[...], found["readout"].kernel[...]
    b = found["readout"].feedback[...]
    symmetric = b @ w.T + w @ b.T
    drift = jnp.linalg.norm(symmetric - a.T @ a) / jnp.linalg.norm(symmetric)
    return {"invariant_drift": drift}


def fields(net: Net) -> Values:
    """``fields/hidden_1`` (units, pixels): the weights into some units of the first layer."""
    return {"fields/hidden_1": layers(net.model)["hidden_1"].kernel[...][:, :FIELDS].T}


# Measures that share their work with no other.
ALONE = {
    f.__name__: f
    for f in (
        pseudo_angle,
        unit_angle,
        activity_cosine,
        gap,
        law_error,
        weight,
        invariant_drift,
        fields,
    )
}
