"""The one list of rules and the one list of layers that every matrix of tests is made from."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import bioflax
from tests.bioflax import oracle
from tests.bioflax.oracle import Node


def quick(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """An initializer that compiles nothing; the key must not be traced."""
    seed = np.asarray(jax.random.key_data(key))
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape, scale=0.5), dtype)


def traceable(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """An initializer that compiles fast; the key may be traced."""
    return jax.random.uniform(key, shape, dtype, -1, 1)


RULES = {
    "backprop": bioflax.Backprop(),
    "feedback_alignment": bioflax.FeedbackAlignment(quick),
    "kolen_pollack": bioflax.KolenPollack(quick),
    "sign_symmetry_uniform": bioflax.SignSymmetry(quick, magnitude="uniform"),
    "sign_symmetry_batch": bioflax.SignSymmetry(traceable, magnitude="batch"),
    "sign_symmetry_fixed": bioflax.SignSymmetry(quick, magnitude="fixed"),
    "weight_mirror": bioflax.WeightMirror(quick),
    "product_feedback": bioflax.ProductFeedback(quick, ratio=2, fixed_init=quick),
    "conditioned": bioflax.Conditioned(bioflax.FeedbackAlignment(quick), activity=0.5, error=0.3),
}
# Not of every layer: see DENSE.
OF_DENSE = ("conditioned",)
# Options of the compiler for tests: compiling is most of their time.
FAST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
DTYPES = {"float32": 2e-5, "bfloat16": 6e-2, "float64": 1e-12}


def streams() -> nnx.Rngs:
    return nnx.Rngs(params=0, feedback=1, dropout=2)


def product_of(module: Any) -> Any:
    """The product that is an attribute of a module, or None."""
    return next((v for v in vars(module).values() if isinstance(v, bioflax.Product)), None)


class Weights:
    """A layer's arrays as nodes, and the ``B`` of each call as its rule defines it."""

    def __init__(self, layer: Any):
        self.layer = layer
        self.product = product_of(layer)
        self.kernel = Node(_array(getattr(layer, self.product.kernel)))
        bias = getattr(layer, "bias", None)
        self.bias = None if bias is None else Node(_array(bias))
        rule = layer.rule
        # Dealt anew in every call: by a copy, to leave the layer's own stream alone.
        random = isinstance(rule, bioflax.SignSymmetry) and rule.magnitude == "batch"
        self.stream = nnx.clone(layer.feedback[1]) if random else None

    def b(self) -> np.ndarray:
        rule, layer = self.layer.rule, self.layer
        if isinstance(rule, bioflax.Backprop):
            return self.kernel.value
        if isinstance(rule, bioflax.ProductFeedback):
            learned, fixed = map(_array, layer.feedback)
            b = learned @ fixed.T
            return b.T if self.product.transposed else b.reshape(self.kernel.value.shape)
        if not isinstance(rule, bioflax.SignSymmetry):
            return _array(layer.feedback)
        if self.stream is not None:
            size = _array(layer.feedback[0])
            places = int(jax.random.key_data(self.stream())[-1]) % size.size
            size = np.roll(size.reshape(-1), places).reshape(size.shape)
        else:
            size = _array(layer.feedback)
        return size * np.sign(self.kernel.value)

    def gradient(self, dw: np.ndarray, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        """What the kernel receives in the place of ``dw``."""
        rule = self.layer.rule
        if not isinstance(rule, bioflax.Conditioned):
            return dw
        return oracle.conditioned(dw, x, dy, rule.activity, rule.error)

    def learned(self) -> dict[str, np.ndarray]:
        """The gradients of feedback that learns, from the kernel's, by their paths in the feedback."""
        dw, feedback, outputs = self.kernel.grad, self.layer.feedback, self.product.outputs
        if isinstance(feedback, nnx.Param):  # Kolen-Pollack: dB = dW
            return {"": dw}
        if not isinstance(self.layer.rule, bioflax.ProductFeedback):
            return {}
        rows = dw.shape[: -outputs or -1]
        matrix = dw.T if self.product.transposed else dw.reshape(*rows, -1)
        return {"/0": matrix @ _array(feedback[1])}  # dR = dW S


def _array(variable: Any) -> np.ndarray:
    value = variable[...] if isinstance(variable, nnx.Variable) else variable
    return np.asarray(value, np.float64)


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer: how to make it, its input, how to call it, and the same in the oracle.

    ``expected(weights, x)``: ``weights`` maps the path of a layer inside the module to ``Weights``.
    """

    make: Callable[..., nnx.Module]
    shape: tuple[int, ...]
    expected: Callable[[dict[str, Weights], Node], Node]
    call: Callable[[Any, jax.Array], jax.Array] = lambda layer, x: layer(x)
    optional_bias: bool = True


def weights(module: nnx.Module) -> dict[str, Weights]:
    found = {"/".join(map(str, p)): m for p, m in nnx.iter_modules(module)}
    return {path: Weights(m) for path, m in found.items() if product_of(m) is not None}


def _biased(y: Node, w: Weights, shape: tuple[int, ...] | None = None) -> Node:
    if w.bias is None:
        return y
    return oracle.add(y, w.bias if shape is None else oracle.reshape(w.bias, shape))


def _einsum(spec: str, path: str = "", shape: tuple[int, ...] | None = None) -> Any:
    def expected(ws: dict[str, Weights], x: Node) -> Node:
        w = ws[path]
        return _biased(oracle.product(spec, x, w.kernel, w.b(), w.gradient), w, shape)

    return expected


def _conv(**options: Any) -> Any:
    def expected(ws: dict[str, Weights], x: Node) -> Node:
        w = ws[""]
        mask = getattr(w.layer, "mask", None)
        kernel, b = w.kernel, w.b()
        if mask is not None:
            kernel, b = oracle.multiply(kernel, Node(mask)), b * np.asarray(mask)
        return _biased(oracle.conv(x, kernel, b, **options), w)

    return expected


def _embed(ws: dict[str, Weights], x: Node) -> Node:
    return oracle.product("btd,nd->btn", x, ws[""].kernel, ws[""].b())


def _attend(q: jax.Array, k: jax.Array, v: jax.Array, **_: Any) -> jax.Array:
    # JAX's own attention does not run under strict promotion.
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)


def _attention(ws: dict[str, Weights], x: Node) -> Node:
    q, k, v = (_einsum("btc,chd->bthd", name)(ws, x) for name in ("query", "key", "value"))
    scores = oracle.scale(oracle.plain("bqhd,bkhd->bhqk", q, k), 1 / np.sqrt(q.value.shape[-1]))
    mixed = oracle.plain("bhqk,bkhd->bqhd", oracle.softmax(scores), v)
    return _einsum("bthd,hdc->btc", "out")(ws, mixed)


def _dense(ws: dict[str, Weights], name: str, x: Node) -> Node:
    return _einsum("bi,io->bo", name)(ws, x)


def _recurrent(step: Callable[..., tuple[Any, Node]], memories: int) -> Any:
    def expected(ws: dict[str, Weights], x: Node) -> Node:
        carry = tuple(Node(np.zeros((x.value.shape[0], 4))) for _ in range(memories))
        outputs = []
        for t in range(x.value.shape[1]):
            carry, y = step(ws, carry, oracle.take(x, (slice(None), t)))
            outputs.append(y)
        return oracle.stack(outputs, 1)

    return expected


def _simple(ws, carry, x):
    h = oracle.tanh(oracle.add(_dense(ws, "dense_i", x), _dense(ws, "dense_h", carry[0])))
    return (h,), h


def _lstm_gates(c, i, f, g, o):
    i, f, o, g = oracle.sigmoid(i), oracle.sigmoid(f), oracle.sigmoid(o), oracle.tanh(g)
    c = oracle.add(oracle.multiply(f, c), oracle.multiply(i, g))
    h = oracle.multiply(o, oracle.tanh(c))
    return (c, h), h


def _lstm(ws, carry, x):
    c, h = carry
    pairs = (("ii", "hi"), ("if_", "hf"), ("ig", "hg"), ("io", "ho"))
    gates = [oracle.add(_dense(ws, a, x), _dense(ws, b, h)) for a, b in pairs]
    return _lstm_gates(c, *gates)


def _optimized_lstm(ws, carry, x):
    c, h = carry
    y = oracle.add(_dense(ws, "dense_i", x), _dense(ws, "dense_h", h))
    gates = [oracle.take(y, (slice(None), slice(4 * i, 4 * i + 4))) for i in range(4)]
    return _lstm_gates(c, *gates)


def _gru(ws, carry, x):
    (h,) = carry
    xi, hi = _dense(ws, "dense_i", x), _dense(ws, "dense_h", h)
    xr, xz, xn, hr, hz, hn = (
        oracle.take(y, (slice(None), slice(4 * i, 4 * i + 4))) for y in (xi, hi) for i in range(3)
    )
    r, z = oracle.sigmoid(oracle.add(xr, hr)), oracle.sigmoid(oracle.add(xz, hz))
    n = oracle.tanh(oracle.add(xn, oracle.multiply(r, hn)))
    h = oracle.add(oracle.multiply(oracle.scale(z, -1, 1), n), oracle.multiply(z, h))
    return (h,), h


def _run(cell: Any, x: jax.Array) -> jax.Array:
    carry = cell.initialize_carry(x[:, 0].shape, nnx.Rngs(0))
    outputs = []
    for t in range(x.shape[1]):
        carry, y = cell(carry, x[:, t])
        outputs.append(y)
    return jnp.stack(outputs, 1)


def _maker(cls: type, *args: Any, **options: Any) -> Callable[..., nnx.Module]:
    init = "embedding_init" if cls is bioflax.Embed else "kernel_init"
    options[init] = quick

    def make(*, dtype: Any = jnp.float64, **rest: Any) -> nnx.Module:
        return cls(*args, **options, dtype=dtype, param_dtype=dtype, **rest)

    return make


def _einsum_maker(*, use_bias: bool = True, **rest: Any) -> nnx.Module:
    bias_shape = (2, 3) if use_bias else None
    return _maker(bioflax.Einsum, "bthc,hcd->bthd", (2, 3, 3), bias_shape)(**rest)


def _masked_maker(*, dtype: Any = jnp.float64, **rest: Any) -> nnx.Module:
    mask = jnp.asarray(np.arange(3 * 2 * 4).reshape(3, 2, 4) % 3 > 0, dtype)
    make = _maker(
        bioflax.Conv,
        4,
        4,
        3,
        padding=((2, 2),),
        kernel_dilation=2,
        feature_group_count=2,
        mask=mask,
    )
    return make(dtype=dtype, **rest)


def _cell(cls: type, step: Callable[..., tuple[Any, Node]], memories: int) -> Case:
    make = _maker(cls, 4, 4, recurrent_kernel_init=quick)
    return Case(make, (2, 2, 4), _recurrent(step, memories), _run, optional_bias=False)


LAYERS = {
    "linear": Case(_maker(bioflax.Linear, 4, 4), (2, 3, 4), _einsum("bti,io->bto")),
    "linear_general": Case(
        _maker(bioflax.LinearGeneral, (2, 3), (2, 3), axis=(-2, -1)),
        (2, 2, 3),
        _einsum("bij,ijkl->bkl"),
    ),
    "linear_general_batched": Case(
        _maker(bioflax.LinearGeneral, 3, 3, batch_axis={0: 2}),
        (2, 5, 3),
        _einsum("bti,bio->bto", shape=(2, 1, 3)),
    ),
    "einsum": Case(_einsum_maker, (2, 3, 2, 3), _einsum("bthc,hcd->bthd")),
    "conv_strided": Case(
        _maker(bioflax.Conv, 4, 4, 3, strides=2, padding=((1, 1),)),
        (2, 8, 4),
        _conv(stride=2, pads=(1, 1)),
    ),
    "conv_grouped_dilated_masked": Case(
        _masked_maker,
        (2, 5, 4),
        _conv(pads=(2, 2), dilation=2, groups=2),
    ),
    "conv_transpose": Case(
        _maker(bioflax.ConvTranspose, 4, 4, 3, strides=2, padding=((1, 1),)),
        (2, 3, 4),
        _conv(pads=(1, 1), spread=2),
    ),
    "embed": Case(
        _maker(bioflax.Embed, 4, 4),
        (2, 3, 4),
        _embed,
        call=lambda layer, x: layer.attend(x),
        optional_bias=False,
    ),
    "attention": Case(
        _maker(bioflax.MultiHeadAttention, 2, 4, decode=False, attention_fn=_attend),
        (2, 3, 4),
        _attention,
    ),
    "simple_cell": _cell(bioflax.SimpleCell, _simple, 1),
    "lstm_cell": _cell(bioflax.LSTMCell, _lstm, 2),
    "optimized_lstm_cell": _cell(bioflax.OptimizedLSTMCell, _optimized_lstm, 2),
    "gru_cell": _cell(bioflax.GRUCell, _gru, 1),
}

# Made of layers with one matrix, and no other.
DENSE = ("linear", "simple_cell", "lstm_cell", "optimized_lstm_cell", "gru_cell")
COMPOSITE = ("attention", "simple_cell", "lstm_cell", "optimized_lstm_cell", "gru_cell")


def normal(shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)
