"""What is measured during training, at fixed parameters and without dropout."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import bioflax
from replications.networks import by_layer
from replications.outputs import OnOutput
from replications.spec import RunSpec
from replications.tasks import Data

# Test sets go through in pieces of this size, which bounds the memory of wide and conv nets.
PIECE = 1000
Values = dict[str, jax.Array]


class Measures:
    """The measures of a spec: ``(state, first state, data) -> {name or name/layer: scalar}``."""

    def __init__(self, spec: RunSpec, graph: Any, loss: OnOutput, wrong: OnOutput):
        self.spec, self.graph = spec, graph
        self.loss, self.wrong = loss, wrong
        by_name: dict[str, Callable[[nnx.Module, Data], Values]] = {
            "delta_angle": self._angles,
            "weight_angle": self._angles,
            "pseudo_angle": self._pseudo_angle,
            "gap": self._gap,
            "weight": self._weight,
            "invariant_drift": self._invariant_drift,
        }
        # One pass gives both kinds of angles.
        self.wanted = dict.fromkeys(by_name[name] for name in spec.measures if name in by_name)
        self.tests = [name for name in spec.measures if name.startswith("test_")]

    def __call__(self, state: Any, first: Any, data: Data) -> Values:
        model = self._model(state)
        values = self._test(model, data) if self.tests else {}
        for measure in self.wanted:
            # Each sees a model of its own: one measure's work cannot leak into another's.
            values |= measure(self._model(state), data)
        if "law_error" in self.spec.measures:
            values |= self._law_error(model, self._model(first), state.step)
        return values

    def _model(self, state: Any) -> Any:
        return nnx.merge(self.graph, state.trained, state.rest, copy=True)

    def _test(self, model: nnx.Module, data: Data) -> Values:
        graph, state = nnx.split(model)

        def output(x: jax.Array) -> jax.Array:
            return nnx.merge(graph, state, copy=True)(x[None])[0]

        x, y = data.test_x, data.test_y
        z = jax.lax.map(output, x, batch_size=min(PIECE, len(x)))
        values = {
            "test_loss": jnp.mean(self.loss(z, y)),
            "test_nse": jnp.sum((z - y) ** 2) / jnp.sum(y**2),
            "test_error": jnp.mean(self.wrong(z, y)),
        }
        return {name: values[name] for name in self.tests}

    def _probe(self, data: Data) -> tuple[jax.Array, jax.Array]:
        return data.test_x[: self.spec.probe], data.test_y[: self.spec.probe]

    def _total_loss(self, model: nnx.Module, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, y = batch
        return jnp.sum(self.loss(model(x), y))

    def features(self, state: Any, data: Data) -> Values:
        """``features/hidden_k`` (probe, units): what every hidden layer puts out. No scalars, and so
        not among the records."""
        model = self._model(state)
        h, _ = self._probe(data)
        values = {}
        for k, block in enumerate(model.blocks, 1):
            h = block(h)
            values[f"features/hidden_{k}"] = h.reshape(len(h), -1)
        return values

    def _angles(self, model: nnx.Module, data: Data) -> Values:
        found = bioflax.alignment(model, self._total_loss, self._probe(data))
        angles = {"delta_angle": found.deltas, "weight_angle": found.weights}
        return {
            f"{name}/{layer}": angle
            for name in self.spec.measures
            if name in angles
            for layer, angle in by_layer(angles[name]).items()
        }

    def _pseudo_angle(self, model: nnx.Module, data: Data) -> Values:
        """Between the rule's error signal and that of the readout's pseudo-inverse, pinv(W) e."""
        ours = bioflax.signals(model, self._total_loss, self._probe(data))
        model.readout.feedback[...] = jnp.linalg.pinv(model.readout.kernel[...]).T
        theirs = bioflax.signals(model, self._total_loss, self._probe(data))
        angles = {
            path: jnp.mean(jax.vmap(bioflax.angle)(ours[path], theirs[path])) for path in ours
        }
        named = by_layer(angles)
        return {f"pseudo_angle/{name}": a for name, a in named.items() if name != "readout"}

    def _gap(self, model: nnx.Module, data: Data) -> Values:
        del data
        return {
            f"gap/{name}": jnp.linalg.norm(layer.kernel[...] - layer.feedback[...])
            for name, layer in _layers(model).items()
        }

    def _law_error(self, model: nnx.Module, start: nnx.Module, step: jax.Array) -> Values:
        """|W - B - (1 - decay)^t (W0 - B0)| over |W0 - B0|: 0 is Kolen and Pollack's law."""
        before, now = _layers(start), _layers(model)
        left = (1 - self.spec.optimizer.weight_decay) ** step.astype(self.spec.dtype)
        values = {}
        for name, layer in now.items():
            gap = before[name].kernel[...] - before[name].feedback[...]
            error = layer.kernel[...] - layer.feedback[...] - left * gap
            values[f"law_error/{name}"] = jnp.linalg.norm(error) / jnp.linalg.norm(gap)
        return values

    def _weight(self, model: nnx.Module, data: Data) -> Values:
        del data
        return {f"weight/{name}": layer.kernel[0, 0] for name, layer in _layers(model).items()}

    def _invariant_drift(self, model: nnx.Module, data: Data) -> Values:
        """|B W + W' B' - A A'| over |B W + W' B'|, which learning from zero weights keeps at 0."""
        del data
        layers = _layers(model)
        a, w = layers["hidden_1"].kernel[...], layers["readout"].kernel[...]
        b = layers["readout"].feedback[...]
        symmetric = b @ w.T + w @ b.T
        drift = jnp.linalg.norm(symmetric - a.T @ a) / jnp.linalg.norm(symmetric)
        return {"invariant_drift": drift}


def _layers(model: Any) -> dict[str, Any]:
    """A net's layers by their names in tables."""
    linear = [next(m for m in b.layers if isinstance(m, bioflax.Linear)) for b in model.blocks]
    return {f"hidden_{i + 1}": m for i, m in enumerate(linear)} | {"readout": model.readout}
