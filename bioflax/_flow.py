"""What a model does with its arrays: which of them an error goes through, and where."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend import core

from bioflax._filters import name_of
from bioflax._product import products
from bioflax._tap import CALL, Watch

# Every use there is of an array: as the kernel of a product of ours; multiplied with activity and summed
# elsewhere; multiplied unit by unit; added; looked up.
PRODUCT, MATRIX, GAIN, ADDED, LOOKED_UP = "product", "matrix", "gain", "added", "looked up"
Uses = dict[tuple[Any, ...], set[Any]]

CONTRACTIONS = {"dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general",
                "triangular_solve"}  # fmt: skip
SUMS = {"reduce_sum", "cumsum", "reduce_window_sum"}
LOOKUPS = {"gather", "dynamic_slice"}
PLUS = {"add", "sub", "add_any", "select_n", "concatenate", "max", "min", "pad",
        "dynamic_update_slice", "scatter", "scatter-add"}  # fmt: skip
SAME = {"convert_element_type", "copy", "stop_gradient", "sharding_constraint", "reduce_precision"}


class Value(NamedTuple):
    """``active``: depends on the input. ``arrays``: those it is made of, if it is not active; else
    those it was just multiplied with unit by unit. ``axes``: along which these vary."""

    active: bool = False
    arrays: frozenset[Any] = frozenset()
    axes: frozenset[int] = frozenset()


def uses(model: Any, args: Any, kwargs: Any, method: str = "__call__") -> Uses:
    """Of each array of ``model``, by its path: what ``model(*args, **kwargs)`` does with it.

    A use as the kernel of a product is the pair of ``PRODUCT`` and the product's path. Traced on
    shapes alone; ``model`` is left as it is, its products are those of ``place``.
    """
    model = nnx.clone(model)
    for path, module in list(nnx.iter_modules(model)):
        for name, product in products(module):
            product.tap = nnx.static(Watch(name_of((*path, name))))
    graph, state = nnx.split(model)
    leaves, tree = jax.tree.flatten(state)
    paths = [path for path, v in nnx.to_flat_state(state) for _ in jax.tree.leaves(v)]
    given, form = jax.tree.flatten((args, kwargs))
    arrays = [i for i, x in enumerate(given) if hasattr(x, "dtype")]

    def run(leaves: Any, inputs: Any) -> Any:
        filled = list(given)
        for i, x in zip(arrays, inputs, strict=True):
            filled[i] = x
        args, kwargs = jax.tree.unflatten(form, filled)
        merged = nnx.merge(graph, jax.tree.unflatten(tree, leaves), copy=True)
        found = getattr(merged, method)(*args, **kwargs)
        return [a for a in jax.tree.leaves(found) if isinstance(a, jax.Array)]

    jaxpr = jax.make_jaxpr(run)(leaves, [given[i] for i in arrays]).jaxpr
    found: Uses = {path: set() for path in paths}
    values = [
        Value(arrays=frozenset([path]), axes=_varying(leaf))
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
        else Value()
        for path, leaf in zip(paths, leaves, strict=True)
    ]
    _walk(jaxpr, [*values, *(Value(active=True) for _ in arrays)], found)
    return found


def _varying(aval: Any) -> frozenset[int]:
    return frozenset(i for i, n in enumerate(getattr(aval, "shape", ())) if n > 1)


def _walk(jaxpr: Any, values: Sequence[Value], found: Uses) -> list[Value]:
    known: dict[Any, Value] = dict(zip(jaxpr.invars, values, strict=True))

    def of(atom: Any) -> Value:
        return Value() if isinstance(atom, core.Literal) else known.get(atom, Value())

    for eqn in jaxpr.eqns:
        out = _step(eqn, [of(v) for v in eqn.invars], found)
        known.update(zip(eqn.outvars, out, strict=True))
    return [of(v) for v in jaxpr.outvars]


def _step(eqn: Any, values: list[Value], found: Uses) -> list[Value]:
    name = eqn.primitive.name
    own = str(eqn.params.get("name", "")) if name in ("jit", "pjit") else ""
    if own.startswith(CALL):
        _note(found, values[1:], (PRODUCT, own.removeprefix(CALL)))
        return [Value(active=True) for _ in eqn.outvars]
    if (inner := _inside(eqn, values, found)) is not None:
        return inner
    active = any(v.active for v in values)
    weights = [v for v in values if not v.active and v.arrays]
    if not active:
        return [_made(eqn, v, values, weights) for v in eqn.outvars]
    if name in CONTRACTIONS:
        _note(found, weights, MATRIX)
    elif name in LOOKUPS:
        _note(found, weights, LOOKED_UP)
    elif name in PLUS:
        _note(found, weights, ADDED)
    elif weights:
        _note(found, weights, GAIN)
        axes = frozenset().union(*(v.axes for v in weights))
        arrays = frozenset().union(*(v.arrays for v in weights))
        return [Value(True, arrays, axes) for _ in eqn.outvars]
    first = values[0]
    if name in SUMS and first.axes & set(eqn.params.get("axes", (eqn.params.get("axis"),))):
        _note(found, [first], MATRIX)
    if name in SAME:
        return [first for _ in eqn.outvars]
    if name == "transpose":
        return [first._replace(axes=_permuted(first.axes, eqn.params["permutation"]))]
    if name in ("reshape", "squeeze") and first.arrays:
        old = eqn.invars[0].aval.shape
        return [first._replace(axes=_regrouped(first.axes, old, v.aval.shape)) for v in eqn.outvars]
    return [Value(active=True) for _ in eqn.outvars]


def _made(eqn: Any, out: Any, values: list[Value], weights: list[Value]) -> Value:
    """A value made of arrays alone."""
    arrays = frozenset[Any]().union(*(v.arrays for v in weights))
    axes = _varying(out.aval)
    if eqn.primitive.name == "broadcast_in_dim":
        places = eqn.params["broadcast_dimensions"]
        axes = frozenset(places[i] for i in values[0].axes)
    elif eqn.primitive.name == "transpose":
        axes = _permuted(values[0].axes, eqn.params["permutation"])
    return Value(False, arrays, axes if arrays else frozenset())


def _permuted(axes: frozenset[int], permutation: Sequence[int]) -> frozenset[int]:
    return frozenset(i for i, old in enumerate(permutation) if old in axes)


def _regrouped(axes: frozenset[int], old: Sequence[int], new: Sequence[int]) -> frozenset[int]:
    """Of a reshaped array: the axes that are made of some of ``axes``."""
    if 0 in old:
        return frozenset()
    found, i, j = set[int](), 0, 0
    while i < len(old) and j < len(new):
        start, at, a, b = i, j, old[i], new[j]
        while a != b:  # the shortest runs of axes on both sides with as many entries
            if a < b:
                i += 1
                a *= old[i]
            else:
                j += 1
                b *= new[j]
        i, j = i + 1, j + 1
        if axes & set(range(start, i)):
            found |= {k for k in range(at, j) if new[k] > 1}
    return frozenset(found)


def _sliced(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    """How many arrays have an axis more outside of a scan than in its body."""
    return sum(a.aval.ndim > b.aval.ndim for a, b in zip(outside, inside, strict=True))


def _note(found: Uses, values: Iterable[Value], use: Any) -> None:
    for value in values:
        for path in value.arrays:
            found[path].add(use)


def _inside(eqn: Any, values: list[Value], found: Uses) -> list[Value] | None:
    """What comes out of an equation that calls others; None where it calls none."""
    name, params = eqn.primitive.name, eqn.params
    if name == "cond":
        branches = [_walk(b.jaxpr, values[1:], found) for b in params["branches"]]
        return [_either(vs) for vs in zip(*branches, strict=True)]
    if name == "while":
        n, m = params["cond_nconsts"], params["body_nconsts"]
        body = params["body_jaxpr"].jaxpr
        return _loop(lambda c: _walk(body, [*values[n : n + m], *c], found), values[n + m :])
    if name == "scan":
        body = params["jaxpr"].jaxpr
        # By shapes: releases of jax differ in how they name these numbers.
        m = len(eqn.outvars) - _sliced(eqn.outvars, body.outvars)
        n = len(eqn.invars) - _sliced(eqn.invars, body.invars) - m
        xs = [
            v._replace(axes=frozenset(i - 1 for i in v.axes if i)) for v in values[n + m :]
        ]  # a slice
        ys: list[Value] = []

        def turn(carry: list[Value]) -> list[Value]:
            out = _walk(body, [*values[:n], *carry, *xs], found)
            ys[:] = [v._replace(axes=frozenset(i + 1 for i in v.axes)) for v in out[m:]]
            return out[:m]

        return [*_loop(turn, values[n : n + m]), *ys]
    bodies = [getattr(p, "jaxpr", p) for p in params.values()
              if isinstance(p, core.Jaxpr | core.ClosedJaxpr)]  # fmt: skip
    for body in bodies:
        if len(body.invars) == len(values) and len(body.outvars) == len(eqn.outvars):
            return _walk(body, values, found)
    if bodies and any(v.active for v in values) and name != "scatter-add":
        _note(found, [v for v in values if not v.active], MATRIX)  # not to be seen: the safe side
    return None


def _loop(turn: Callable[[list[Value]], list[Value]], carry: list[Value]) -> list[Value]:
    while True:
        new = [_either(pair) for pair in zip(carry, turn(carry), strict=True)]
        if new == carry:
            return new
        carry = new


def _either(values: Sequence[Value]) -> Value:
    active = any(v.active for v in values)
    kept = [v for v in values if v.active == active]
    arrays = frozenset[Any]().union(*(v.arrays for v in kept))
    return Value(active, arrays, frozenset[int]().union(*(v.axes for v in kept)))
