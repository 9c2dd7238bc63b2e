"""On several devices: feedback lies where the kernel lies, and gradients are those of one device."""

import subprocess
import sys

import pytest

HEAD = """
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
from jax.sharding import AxisType, PartitionSpec as P
import bioflax

jax.config.update("jax_num_cpu_devices", 4)
explicit = jax.make_mesh((2, 2), ("data", "model"))
auto = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
X = jax.random.normal(jax.random.key(0), (4, 8))
split = {"kernel_metadata": {"out_sharding": (None, "model")}}
"""
LAYER = """
for rule in (bioflax.FeedbackAlignment(), bioflax.KolenPollack(), bioflax.SignSymmetry()):
    gradients = []
    for options in (split, {}):
        with jax.set_mesh(explicit):
            layer = bioflax.Linear(8, 4, rule=rule, rngs=nnx.Rngs(0), **options)
            assert jax.typeof(layer.feedback[...]) == jax.typeof(layer.kernel[...])
            gradients.append(np.asarray(jax.grad(lambda x: (layer(x) ** 2).sum())(X)))
    np.testing.assert_allclose(*gradients, rtol=1e-5)
"""
STACK = """
def make(rngs):
    return bioflax.Linear(8, 8, rngs=rngs, **split)

with jax.set_mesh(explicit):
    stack = bioflax.Stack(make, 3, rngs=nnx.Rngs(0))
    found = nnx.get_partition_spec(nnx.state(stack))["layers"]
    for value in (found["kernel"], found["dot_general"]["feedback"]):
        assert value.get_value() == P(None, None, "model"), found
"""
VMAPPED = """
for names in ((None, None, "model"), ("data", None, "model")):
    @nnx.vmap(transform_metadata={nnx.PARTITION_NAME: names[0]})
    def make(key):
        return nnx.Linear(8, 8, rngs=nnx.Rngs(params=key), **split)

    with jax.set_mesh(jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)):
        model = nnx.Sequential(make(jax.random.split(jax.random.key(0), 2)))
        layer = bioflax.convert(model, bioflax.FeedbackAlignment(), rngs=nnx.Rngs(1)).layers[0]
    assert layer.feedback.shape == (2, 8, 8)
    assert layer.feedback.get_metadata()["out_sharding"] == names
    assert not np.array_equal(layer.feedback[0], layer.feedback[1])
"""
DIRECT = """
gradients = []
for options in (split, {}):
    with jax.set_mesh(explicit):
        blocks = [nnx.Linear(8, 4, rngs=nnx.Rngs(0), **options), jnp.tanh]
        net = bioflax.DirectFeedback(blocks, nnx.Linear(4, 2, rngs=nnx.Rngs(1)), rngs=nnx.Rngs(2))
        gradients.append(np.asarray(jax.grad(lambda x: (net(x) ** 2).sum())(X)))
np.testing.assert_allclose(*gradients, rtol=1e-5)
"""
ALIGNMENT = """
def loss(model, x):
    return (model(x) ** 2).sum()

for direct in (False, True):
    measured = []
    for options in (split, {}):
        with jax.set_mesh(explicit):
            rule = {} if direct else {"rule": bioflax.KolenPollack()}
            layers = nnx if direct else bioflax
            hidden = layers.Linear(8, 4, rngs=nnx.Rngs(0), **rule, **options)
            readout = layers.Linear(4, 2, rngs=nnx.Rngs(1), **rule)
            if direct:
                net = bioflax.DirectFeedback([hidden, jnp.tanh], readout, rngs=nnx.Rngs(2))
            else:
                net = nnx.Sequential(hidden, jnp.tanh, readout)
            measured.append(jax.tree.map(np.asarray, bioflax.alignment(net, loss, X)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *measured)
"""
MAPPED = """
for mode in ("dfa", "dkp"):
    blocks = [nnx.Linear(8, 7, rngs=nnx.Rngs(0)), jnp.tanh]
    readout = nnx.Linear(7, 2, rngs=nnx.Rngs(1))
    net = bioflax.DirectFeedback(blocks, readout, mode=mode, rngs=nnx.Rngs(2))
    graph, params, rest = nnx.split(net, nnx.Param, ...)

    def gradient(params, rest, x):
        return jax.grad(lambda p: (nnx.merge(graph, p, rest)(x) ** 2).sum())(params)

    places = {"in_specs": (P(), P(), P("data")), "out_specs": P()}
    found = jax.shard_map(gradient, mesh=auto, **places)(params, rest, X)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, gradient(params, rest, X)
    )
"""


@pytest.mark.parametrize(
    "body",
    [LAYER, STACK, VMAPPED, DIRECT, ALIGNMENT, MAPPED],
    ids=["layer", "stack", "vmapped layers", "direct", "alignment", "shard_map"],
)
def test_on_several_devices(body):
    done = subprocess.run([sys.executable, "-c", HEAD + body], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
