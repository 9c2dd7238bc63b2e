"""A spec's network, under its rule: the modules of bioflax, put together as a user would."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

import bioflax
from replications.harness.catalogue.rules import DEEP, RULES
from replications.harness.training.starts import grid_start, initializer, sparse
from replications.harness.training.streams import stream
from replications.harness.training.tasks import ACTIVATIONS

if TYPE_CHECKING:
    from replications.harness.declared.spec import RunSpec


def flatten(x: jax.Array) -> jax.Array:
    """Maps ``(..., height, width, channels)`` to units."""
    return x.reshape(*x.shape[:-3], -1)


def pool(x: jax.Array) -> jax.Array:
    """Torch's SpatialMaxPooling(3, 3, 2, 2): 32 -> 15 -> 7 -> 3."""
    return nnx.max_pool(x, (3, 3), strides=(2, 2), padding="VALID")


class Layered(nnx.Module):
    """The blocks and the readout one after the other: each layer's own rule carries the error."""

    def __init__(self, blocks: Sequence[nnx.Module], readout: nnx.Module):
        self.blocks = nnx.List(blocks)
        self.readout = readout

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.readout(self.hidden(x))

    def hidden(self, x: jax.Array) -> jax.Array:
        """The last hidden layer's activity."""
        for block in self.blocks:
            x = block(x)
        return x


def layer_rule(spec: "RunSpec") -> bioflax.Rule:
    """The rule of the layers of a spec; of a net trained directly, of those in its blocks."""
    init = initializer(spec.network.feedback_init)
    if spec.network.sparsity:
        init = sparse(init, spec.network.sparsity)
    rule = RULES[spec.rule]
    options = {argument: getattr(spec, field) for argument, field in rule.options.items()}
    if rule.feedback:
        options["feedback_init"] = init
    kind: Any = getattr(bioflax, rule.layer)
    return kind(**options)


def build(
    spec: "RunSpec", input_shape: tuple[int, ...], outputs: int, seed: jax.Array
) -> nnx.Module:
    """The network of ``spec`` for inputs of shape ``input_shape``, drawn from ``seed``'s streams."""
    key = jax.random.key(seed)
    rngs = nnx.Rngs(
        params=stream(key, "init"), feedback=stream(key, "feedback"), dropout=stream(key, "dropout")
    )
    net, dtype, rule = spec.network, jnp.dtype(spec.dtype), layer_rule(spec)
    common = {"use_bias": net.bias, "param_dtype": dtype, "rule": rule, "rngs": rngs}

    def drawn(fan_in: int, first: bool = False) -> dict[str, Any]:
        """The initializers of a layer with ``fan_in`` inputs to a unit."""
        own = net.first_init if first and net.first_init else None
        return {
            "kernel_init": initializer(own or net.init),
            "bias_init": initializer(own or net.bias_init, fan_in),
        }

    function = ACTIVATIONS[net.activation]

    def dropout(rate: float) -> list[Any]:
        # A module of its own each time: the blocks of direct feedback share no random state.
        return [nnx.Dropout(rate, rngs=rngs)] if rate else []

    blocks: list[Any] = []
    features, spatial = input_shape[-1], input_shape[:-1]
    for width in net.convolutions:
        inits = drawn(25 * features, first=not blocks)
        conv = bioflax.Conv(features, width, (5, 5), padding=2, **inits, **common)
        blocks.append([conv, function, pool])
        features, spatial = width, tuple((n - 3) // 2 + 1 for n in spatial)
    if net.convolutions:
        features *= math.prod(spatial)
    # Indirect feedback goes from layer to layer, and masks differ from layer to layer.
    alike = len(set(net.hidden)) == 1 and not net.dropout_hidden
    deep = len(net.hidden) > DEEP and alike and not RULES[spec.rule].carried
    for i, width in enumerate(net.hidden[:1] if deep else net.hidden):
        inits = drawn(features, first=not blocks)
        linear = bioflax.Linear(features, width, **inits, **common)
        shape = [flatten] if net.convolutions and i == 0 else []
        blocks.append([*shape, linear, function, *dropout(net.dropout_hidden)])
        features = width
    if blocks:
        blocks[0] = dropout(net.dropout_input) + blocks[0]
    if deep:

        def one_more(rngs: nnx.Rngs) -> nnx.Module:
            own = common | {"rngs": rngs}
            layer = bioflax.Linear(features, features, **drawn(features), **own)
            return nnx.Sequential(layer, function)

        blocks.append(bioflax.Stack(one_more, len(net.hidden) - 1, rngs=rngs))
    readout_init = initializer(net.readout_init or net.init)
    if net.sparsity:
        readout_init = sparse(readout_init, net.sparsity)
    inits = drawn(features) | {"kernel_init": readout_init}
    if RULES[spec.rule].direct:
        common["rule"] = bioflax.Backprop()
    readout = bioflax.Linear(features, outputs, **inits, **common)
    if net.init.kind == "grid":
        hidden_weight, readout_weight = grid_start(seed, net.init.value)
        blocks[0][0].kernel[...] = jnp.full((1, 1), hidden_weight, dtype)
        readout.kernel[...] = jnp.full((1, 1), readout_weight, dtype)
    if way := RULES[spec.rule].direct:
        return bioflax.DirectFeedback(
            blocks,
            readout,
            rngs=rngs,
            mode=getattr(bioflax, way)(),
            feedback_init=initializer(net.feedback_init),
            example=jax.ShapeDtypeStruct((1, *input_shape), dtype),
        )
    model = Layered(
        [b if isinstance(b, nnx.Module) else nnx.Sequential(*b) for b in blocks], readout
    )
    if net.feedback_init.kind == "forward_weights":
        for _, layer in nnx.iter_modules(model):
            # A layer shows the feedback of its product, which is a module too, without weights.
            own = None if isinstance(layer, bioflax.Product) else getattr(layer, "feedback", None)
            if isinstance(own, bioflax.Feedback):
                own[...] = layer.kernel[...]
    return model


def by_layer(values: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """``{path: value}`` as bioflax gives it, as ``{hidden_1 ... or readout: value}``.

    Where the layers of a stack have one array together, it is taken apart.
    """
    named = {}
    for path, value in values.items():
        if "readout" in path:
            named["readout"] = value
        else:
            first = 1 + int("".join(c if c.isdigit() else " " for c in path).split()[0])
            parts = [value] if value.ndim == 0 else list(value)
            named |= {f"hidden_{first + i}": part for i, part in enumerate(parts)}
    return named


def layers(model: Any) -> dict[str, Any]:
    """A net's dense layers by their names in tables."""
    linear = [next(m for m in b.layers if isinstance(m, bioflax.Linear)) for b in model.blocks]
    return {f"hidden_{i + 1}": m for i, m in enumerate(linear)} | {"readout": model.readout}
