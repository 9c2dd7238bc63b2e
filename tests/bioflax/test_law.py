"""Kolen-Pollack's law: which optimisers keep it, and what is said of those that break it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from optax import contrib

import bioflax
from tests.bioflax.cases import normal

KP = bioflax.KolenPollack()
RATE, DECAY, STEPS = 0.05, 0.2, 60
KEPT = (1 - RATE * DECAY) ** STEPS
X, Y = (jnp.asarray(normal(s, seed=i), jnp.float32) for i, s in enumerate([(32, 8), (32, 2)]))


@pytest.fixture(autouse=True)
def as_users_do():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def net():
    rngs = nnx.Rngs(params=0, feedback=1)
    return nnx.Sequential(
        bioflax.Linear(8, 16, rule=KP, rngs=rngs),
        jnp.tanh,
        bioflax.Linear(16, 2, rule=KP, rngs=rngs),
    )


def loss(model):
    return jnp.mean((model(X) - Y) ** 2)


def trained(optimiser, steps=STEPS):
    """The gap before, the law watched from there, and the net after some updates."""
    model = net()
    before, law = bioflax.gap(model), bioflax.Law(model)
    made = optimiser(model) if callable(optimiser) else optimiser
    optimizer = nnx.Optimizer(model, made, wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        optimizer.update(model, nnx.grad(loss)(model))

    for _ in range(steps):
        step(model, optimizer)
    return before, law, model


def norm_of(tree):
    """As ``optax.global_norm``, which newer versions call otherwise."""
    return jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(tree)))


def by_name(params):
    return jax.tree_util.tree_map_with_path(lambda path, _: "kernel" in str(path), params)


def by_rank(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


L2, STEP, SGD = optax.add_decayed_weights(DECAY), optax.scale(-RATE), optax.sgd(RATE)
HOLDS = {
    "SGD": optax.chain(L2, SGD),
    "momentum, decay after it": optax.chain(optax.trace(0.9), L2, STEP),
    "AdamW": optax.adamw(RATE, weight_decay=DECAY),
    "Lion": optax.lion(RATE, weight_decay=DECAY),
    "Muon": contrib.muon(RATE, weight_decay=DECAY, adam_weight_decay=DECAY),
    "global clip": optax.chain(optax.clip_by_global_norm(0.1), L2, SGD),
    "MultiSteps": optax.MultiSteps(
        optax.adamw(RATE, weight_decay=DECAY), 1
    ).gradient_transformation(),
    "mask by rank": optax.adamw(RATE, weight_decay=DECAY, mask=by_rank),
    "mask by name, alike": lambda m: optax.adamw(
        RATE, weight_decay=DECAY, mask=bioflax.alike(by_name, m)
    ),
}
BREAKS = {
    "mask by name": (optax.adamw(RATE, weight_decay=DECAY, mask=by_name), "not decayed alike: a mask"),
    "LAMB": (optax.lamb(RATE, weight_decay=DECAY), "scaled by the size of the parameter"),
    "LARS": (optax.lars(RATE, weight_decay=DECAY), "scaled by the size|another rate"),
    "Adafactor": (optax.adafactor(RATE, weight_decay_rate=RATE * DECAY), "scaled by the size"),
    "L2 under Adam": (optax.chain(L2, optax.adam(RATE)), "L2 under Adam"),
    "L2 under momentum": (optax.chain(L2, optax.sgd(RATE, 0.9)), "through momentum"),
    "schedule-free": (
        contrib.schedule_free_adamw(RATE, weight_decay=DECAY),
        "a rate of the optimiser's own",
    ),
    "Prodigy": (contrib.prodigy(RATE, weight_decay=DECAY), "near zero|a rate of the optimiser's own"),
    "NovoGrad": (optax.novograd(RATE, weight_decay=DECAY), "through momentum"),
    "adaptive clip": (optax.chain(optax.adaptive_grad_clip(0.01), L2, SGD), "adaptive clipping"),
    "noise": (optax.chain(optax.add_noise(0.1, 0.5, 0), L2, SGD), "noise"),
    "decay before a global clip": (
        optax.chain(L2, optax.clip_by_global_norm(0.1), SGD),
        "through momentum, a clip",
    ),
    "no decay": (optax.adam(RATE), "nothing decays"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOLDS)
def test_the_law_holds_under(name):
    before, law, model = trained(HOLDS[name])
    for path, now in bioflax.gap(model).items():
        np.testing.assert_allclose(now / before[path], KEPT, rtol=1e-3)
    assert law.broken(model, KEPT) == {}


@pytest.mark.parametrize("name", BREAKS)
def test_the_law_is_said_to_break_and_by_what_under(name):
    optimiser, why = BREAKS[name]
    before, law, model = trained(optimiser)
    off = [abs(float(now / before[path]) - KEPT) for path, now in bioflax.gap(model).items()]
    assert max(off) > 1e-4
    causes = law.broken(model, KEPT)
    assert causes
    for cause in causes.values():
        assert any(words in cause for words in why.split("|")), cause


def test_a_clip_by_the_norm_of_all_parameters_counts_feedback_and_ours_does_not():
    model = net()
    exact = bioflax.convert(model, bioflax.Backprop())
    gradients, wanted = (nnx.grad(loss)(m) for m in (model, exact))
    # The last layer's gradient is the same under both rules, so compare those of the kernels here.
    squares = [
        jnp.sum(v[...] ** 2)
        for path, v in nnx.to_flat_state(gradients)
        if path[-1] in ("kernel", "bias")
    ]
    found = bioflax.global_norm(gradients, model)
    np.testing.assert_allclose(found, jnp.sqrt(sum(squares)), rtol=1e-6)
    assert norm_of(gradients) > 1.2 * found
    np.testing.assert_allclose(bioflax.global_norm(wanted, exact), norm_of(wanted), rtol=1e-6)


def test_the_norm_leaves_out_the_learned_feedback_of_direct_kolen_pollack():
    rngs = nnx.Rngs(params=0, feedback=1)
    model = bioflax.DirectFeedback(
        [nnx.Linear(8, 5, rngs=rngs), jnp.tanh], nnx.Linear(5, 2, rngs=rngs), mode="dkp", rngs=rngs
    )
    own = [v[...] for p, v in nnx.to_flat_state(nnx.state(model, nnx.Param)) if p[0] != "feedback"]
    found = bioflax.global_norm(nnx.state(model, nnx.Param), model)
    np.testing.assert_allclose(found, norm_of(own), rtol=1e-6)


def test_the_gap_and_the_law_of_a_stack_are_those_of_its_layers():
    stack = bioflax.Stack(lambda r: bioflax.Linear(6, 6, rule=KP, rngs=r), 3, rngs=nnx.Rngs(0))
    (gap,) = bioflax.gap(stack).values()
    w, b = stack.layers.kernel[...], stack.layers.feedback[...]
    np.testing.assert_allclose(gap, [jnp.linalg.norm(w[i] - b[i]) for i in range(3)], rtol=1e-6)
    law = bioflax.Law(stack)
    stack.layers.kernel[...] = 0.9 * w
    stack.layers.feedback[...] = 0.9 * b
    assert law.broken(stack, 0.9) == {}
    stack.layers.kernel[...] = (0.9 * w).at[1].multiply(0.5)
    assert list(law.broken(stack, 0.9)) == ["layers"]


def test_labels_of_groups_treat_both_alike_too_and_a_foreign_mask_is_refused():
    model = net()
    params = nnx.state(model, nnx.Param)

    def labels(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "decayed" if "kernel" in str(path) else "plain", params
        )

    found = jax.tree.leaves(bioflax.alike(labels, model)(params))
    assert found.count("decayed") == 4
    assert found.count("plain") == 2
    with pytest.raises(ValueError, match="is it of this model"):
        bioflax.alike({"a": True}, model)(params)


def test_a_model_without_such_layers_has_no_law():
    plain = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    assert bioflax.gap(plain) == {}
    with pytest.raises(ValueError, match="no layer of this model is under KolenPollack"):
        bioflax.Law(plain)
