"""One line from a Flax model to the same model under a rule, and back."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bioflax._direct.base import Direct
from bioflax._direct.exact import ExactFeedback
from bioflax._direct.marked import Marked, fed
from bioflax._direct.net import DirectFeedback
from bioflax._feedback import Feedback
from bioflax._filters import Filter, inside, name_of
from bioflax._flow import GAIN, LOOKED_UP, MATRIX, PRODUCT, Uses, uses
from bioflax._layers.place import family, has_own_method, has_place, place, rewired, uses_alone
from bioflax._product import Where, kernel_of, products, put_under
from bioflax._pure import arguments
from bioflax._report import Entry, Report
from bioflax._rules.backprop import Backprop
from bioflax._rules.base import Rule, check_rule
from bioflax._stack import Stack, unstacked
from bioflax._streams import apart, folded, repeats

FILTERED = "not asked for"
NORMALISED = "its kernel is normalised, and feedback would learn another one"
HARMLESS = "no weights for an error to go through"
UNKNOWN = "perhaps used by itself: give example= to see"
# They learn another kernel than the one that the layer inside them multiplies with.
WRAPPERS = (nnx.SpectralNorm, nnx.WeightNorm)
NORMS = (nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.GroupNorm, nnx.InstanceNorm, nnx.PReLU)
# What is written in a call; no error is sent through it that an example would not show.
STATE = (nnx.BatchStat, nnx.Cache, nnx.Intermediate)
Done = tuple[tuple[str, ...], str, str]


def convert(
    model: Any,
    rule: Rule | Direct,
    *,
    rngs: nnx.Rngs | None = None,
    example: Any = None,
    skip: Filter | Sequence[Filter] = (),
    only: Filter | Sequence[Filter] | None = None,
    at: Filter | Sequence[Filter] = (),
    strict: bool = False,
    report: bool = False,
) -> Any:
    """The same model with every layer under ``rule``: parameters kept, feedback added.

    A layer under a rule is Flax's own with a ``Product`` in the place of what it multiplies with.
    What is exactly Flax's comes back as ours (``nnx.Linear`` as ``bioflax.Linear``), with ``rule``
    and ``feedback``. A subclass of yours stays what it is, and has them at its product
    (``layer.dot_general.feedback``). A layer of your own that multiplies by itself can be converted
    where it calls a ``Product``.

    *Converted* means that the error goes through ``B``. With ``example`` the model is traced once, on
    shapes, and the report says of every array what the model does with it: a kernel that its product
    is not called with gets no ``B`` (a table that only looks up), one that is used a second time
    beside it (a tied head, a branch) is named, and so is every other array that is multiplied with
    activity and summed, whatever its rank and type. What is added, or multiplies unit by unit, is no
    obstacle. Without ``example`` a layer with a ``__call__`` of its own is traced alone, and arrays of
    other modules of yours count as left.

    ``convert(model, Backprop())`` goes back; it also switches direct feedback off, so it gives the
    exact backpropagation twin of a model at the same parameters.

    With a way of direct feedback (``DirectFeedbackAlignment()``) in the place of the rule, the model
    is kept as it is, and the output error goes to its places ``at`` and to those where it calls
    ``direct``; see ``Marked``.

    Args:
      model: any NNX model; it is left as it is.
      rule: the rule, for all layers; or a way of direct feedback.
      rngs: stream ``feedback``; not needed for ``Backprop``. No ``B`` is the draw of a kernel of the
        model, whatever the seeds: where it would be, another one is drawn.
      example: an input of the model, or its ``jax.ShapeDtypeStruct``; where it takes several, a tuple
        of them, with a dict of those by name at its end. Direct feedback needs it.
      skip: modules to leave, with all that is inside them: paths (``"encoder"``,
        ``"blocks/*/attention"``), types, functions ``(path, module) -> bool``, or several of these.
      only: modules to convert, with all that is inside them; the others are left.
      at: of direct feedback, the modules whose outputs receive it.
      strict: raise when an error goes through an array that stays as it is, and no filter names it.
      report: print what was done, and return ``(model, Report)``.

    Returns:
      The converted copy, or with ``report`` the copy and a ``Report``.

    Warns:
      UserWarning: something was left that no filter names.

    Raises:
      TypeError: ``rule`` is no rule; no ``rngs`` for a rule that draws feedback.
      ValueError: a path in ``skip`` or ``only`` that is not in the model; nothing to convert; one
        kernel in two layers under Kolen-Pollack; with ``strict``, what cannot be decoupled.

    >>> net = nnx.Sequential(nnx.Linear(3, 4, rngs=nnx.Rngs(0)), jax.numpy.tanh)
    >>> from bioflax import FeedbackAlignment
    >>> net, _ = convert(net, FeedbackAlignment(), rngs=nnx.Rngs(1), report=True)
    FeedbackAlignment(): 1 layers converted
    layers/0  Linear  converted  kernel
    """
    if isinstance(rule, Direct):
        if skip or only is not None or strict or report:
            raise TypeError(
                "direct feedback is sent to places: give at=, not skip, only, strict, report"
            )
        return fed(model, rule, inside_at(model, at), example, rngs)
    if at:
        raise TypeError(f"at= is for direct feedback; {rule!r} is a rule of layers: give only=")
    check_rule(rule)
    if rngs is None and not isinstance(rule, Backprop):
        raise TypeError(f"{rule!r} draws feedback: give rngs=nnx.Rngs(...)")
    skipped = inside(skip, "skip", model)
    wanted = (lambda path: True) if only is None else inside(only, "only", model)
    seen = None if example is None else _seen(model, example)

    def once(rngs: Any) -> tuple[Any, list[Entry]]:
        def asked(path: Any) -> bool:
            return wanted(path) and not skipped(path)

        return converted(nnx.clone(model), rule, rngs, asked, seen=seen)

    model, entries = _unlike_the_weights(once, rule, rngs)
    if rule.shared:
        _check_kernels(model)
    summary = Report(rule, tuple(entries))
    stuck = [e for e in entries if e.action == "left" and e.reason != FILTERED]
    text = "; ".join(
        f"{e.path or '.'} ({e.layer}): {', '.join(e.arrays)} {e.reason}" for e in stuck
    )
    if strict and stuck:
        raise ValueError(f"cannot be decoupled: {text}")
    if not isinstance(rule, Backprop) and not summary.paths("converted"):
        raise ValueError(
            f"nothing to convert in this {type(model).__name__}" + (text and f": {text}")
        )
    if stuck and not isinstance(rule, Backprop):
        warnings.warn(f"the error passes as in backpropagation: {text}", stacklevel=2)
    if not report:
        return model
    print(summary)
    return model, summary


def inside_at(model: Any, at: Any) -> list[tuple[Any, ...]]:
    """The paths of the modules that ``at`` names, and not of what is inside them."""
    if isinstance(at, list | tuple) and not at:
        return []
    within = inside(at, "at", model)
    return [p for p, _ in nnx.iter_modules(model) if within(p) and not (p and within(p[:-1]))]


def _seen(model: Any, example: Any) -> Uses:
    """What the whole model does with each of its arrays."""
    model = nnx.clone(model)
    model = rewired(model, [(module, place(module)) for _, module in list(nnx.iter_modules(model))])
    args, kwargs = arguments(example)
    return uses(model, args, kwargs)


def _unlike_the_weights(once: Callable[[Any], Any], rule: Rule, rngs: Any) -> Any:
    """``once(rngs)``; again, with another key, where a ``B`` came out that is a kernel."""
    if rngs is None or isinstance(rule, Backprop):
        return once(rngs)
    rngs = apart(rngs)
    other = nnx.Rngs(feedback=folded(rngs.feedback.key[...]))
    model, entries = once(rngs)
    drawn = [(p.feedback, k.ndim if p.ndim is None else p.ndim) for k, p in _kernels(model)]
    drawn = [(b, n) for b, n in drawn if isinstance(b, Feedback | nnx.Param)]
    own = {id(b) for b, _ in drawn}
    weights = [
        v[...] for _, v in nnx.iter_graph(model) if isinstance(v, nnx.Param) and id(v) not in own
    ]
    clash = repeats([(b[...], n) for b, n in drawn], weights)
    if isinstance(clash, jax.core.Tracer):
        again, _ = once(other)
        for (_, p), (_, q) in zip(_kernels(model), _kernels(again), strict=True):
            if isinstance(p.feedback, Feedback | nnx.Param):
                p.feedback[...] = jnp.where(clash, q.feedback[...], p.feedback[...])
        return model, entries
    return once(other) if clash else (model, entries)


def _kernels(model: Any) -> list[tuple[Any, Any]]:
    """The kernel and the product of every layer."""
    return [
        (kernel_of(module, product), product)
        for _, module in nnx.iter_modules(model)
        for _, product in products(module)
    ]


def _check_kernels(model: Any) -> None:
    """Raise ValueError where a kernel learns from two products, and each ``B`` from one."""
    owner: dict[int, str] = {}
    for path, module in nnx.iter_modules(model):
        for _, product in products(module):
            if product.rule.shared:
                other = owner.setdefault(id(kernel_of(module, product)), name_of(path))
                if other != name_of(path):
                    raise ValueError(
                        f"{other} and {name_of(path)} have one kernel, and each would have a B that "
                        f"learns from its own calls only, so {product.rule!r} does not hold: put one "
                        "layer in both places, or skip one"
                    )


def converted(
    model: Any,
    rule: Rule,
    rngs: Any,
    wanted: Callable[[Any], bool] = lambda path: True,
    above: tuple[Any, ...] = (),
    seen: Uses | None = None,
) -> tuple[Any, list[Entry]]:
    """``model``, in place, under ``rule``, and what was done.

    It is another object where a single layer is the whole model. ``above``: its path in the whole
    model. ``seen``: what that does with its arrays, if known.
    """
    entries: list[Entry] = []
    placed: list[tuple[Any, Any]] = []
    learned = {
        id(m.feedback) for _, m in nnx.iter_modules(model) if isinstance(m, DirectFeedback | Marked)
    }
    wrapped = {
        id(m)
        for _, wrapper in nnx.iter_modules(model)
        if isinstance(wrapper, WRAPPERS) and rule.shared
        for _, m in nnx.iter_modules(wrapper)
    }
    for below, module in list(unstacked(model)):
        path = (*above, *below)
        if isinstance(module, DirectFeedback | Marked) and isinstance(rule, Backprop):
            module.mode = ExactFeedback()
        if isinstance(module, Stack):
            entries += _convert_stack(module, rule, rngs, wanted, (*path, "layers"), seen)
        own = _own(module, seen is not None)
        if not own or id(module) in learned:
            continue
        ours, done = module, [(tuple(own), "left", FILTERED)]
        if wanted(path):
            try:
                ours, done = _convert_one(
                    module, path, own, rule, rngs, id(module) in wrapped, seen
                )
            except (TypeError, ValueError) as error:
                kind = ValueError if isinstance(error, ValueError) else TypeError
                where = f"{name_of(path) or '.'} ({type(module).__name__})"
                raise kind(f"{where}: {error}") from error
            placed.append((module, ours))
        layer = type(module).__name__
        entries += [
            Entry(name_of(path), layer, action, why, arrays) for arrays, action, why in done
        ]
    return rewired(model, placed), entries


def _convert_one(
    module: Any,
    path: tuple[Any, ...],
    own: dict[str, tuple[Any, ...]],
    rule: Rule,
    rngs: Any,
    normalised: bool,
    seen: Uses | None,
) -> tuple[Any, list[Done]]:
    """A module with arrays under ``rule``, not what is inside it; arrays, actions and reasons."""
    known = family(module)
    goes_back = isinstance(rule, Backprop) and bool(products(module))
    names = tuple(own)
    if (known or products(module)) and normalised:
        return module, [(names, "left", NORMALISED)]
    placed = place(module)
    if known and not goes_back and not has_place(placed, known[1]):
        flax, ours = (kind.__name__ for kind in known)
        why = f"nnx.{flax} has no place for a product: derive it from bioflax.{ours}"
        return module, [(names, "left", why)]
    if seen is not None:
        what = {name: seen.get((*path, *keys), set()) for name, keys in own.items()}
    elif has_own_method(module) and not goes_back:
        try:
            alone = uses_alone(module)
        except Exception as error:  # whatever a user's method does with an input it does not expect
            first = (str(error).splitlines() or [""])[0]
            why = f"its own {known[1].carrier if known else '__call__'} could not be traced alone"
            return module, [
                (names, "left", f"{why} ({type(error).__name__}: {first}): give example=")
            ]
        what = {name: alone.get(keys, set()) for name, keys in own.items()}
    else:
        what = _expected(module, placed, own)
    where = name_of(path)
    if seen is None:
        path = ()  # the layer was seen by itself
    done: list[Done] = []
    for name, product in products(placed):
        kernel = product.kernel
        found = what.pop(kernel, set())
        if not goes_back and (PRODUCT, name_of((*path, name))) not in found:
            if seen is None and not has_own_method(module):
                kernel_of(placed, product)  # names the parameter that is not there
            done.append(_unused(kernel, found))
            continue
        put_under(placed, name, rule, rngs)
        product.where = Where(where)
        done.append(((kernel,), "converted", ""))
        if MATRIX in found:
            done.append(((kernel,), "left", "multiplies outside of its product too"))
        elif rule.shared and LOOKED_UP in found:
            done.append(
                ((kernel,), "left", "learns from look-ups too, which its feedback does not see")
            )
    matrices = tuple(name for name, found in what.items() if MATRIX in found)
    unknown = tuple(name for name, found in what.items() if None in found)
    gains = tuple(name for name, found in what.items() if GAIN in found and MATRIX not in found)
    if matrices:
        done.append((matrices, "left", "used by itself"))
    if unknown:
        done.append((unknown, "left", UNKNOWN))
    if gains or not done:
        done.append((gains or names, "exact", HARMLESS))
    is_ours = any(action == "converted" for _, action, _ in done)
    return placed if is_ours else module, done


def _unused(kernel: str, found: set[Any]) -> Done:
    """Of a kernel that its product is not called with."""
    if None in found:
        return (kernel,), "left", UNKNOWN
    if MATRIX in found or any(isinstance(use, tuple) for use in found):
        return (kernel,), "left", "used by itself"
    return (kernel,), "exact", "only looked up" if LOOKED_UP in found else "not used"


def _expected(module: Any, layer: Any, own: dict[str, Any]) -> dict[str, set[Any]]:
    """What ``module``, placed as ``layer``, does with its arrays where no call of it was seen; None
    for who knows."""
    if isinstance(module, nnx.Embed) and not products(module):
        return {name: {None} for name in own}  # most tables are only looked up in
    kernels = {product.kernel: {(PRODUCT, name)} for name, product in products(layer)}
    rest = {GAIN} if isinstance(layer, NORMS + WRAPPERS) else set() if family(layer) else {None}
    return {name: kernels.get(name, rest) for name in own}


def _own(module: nnx.Module, every: bool) -> dict[str, tuple[Any, ...]]:
    """The arrays of numbers of a module by name, those in its lists and dicts too, and not its
    submodules'; with the keys that lead to each. Scalars are none that could mix units."""
    own = {}
    for name, value in vars(module).items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(value, is_leaf=_is_node):
            array = leaf[...] if isinstance(leaf, nnx.Variable) else leaf
            if isinstance(leaf, Feedback | nnx.RngState) or (isinstance(leaf, STATE) and not every):
                continue
            numbers = isinstance(array, jax.Array | np.ndarray) and array.ndim
            if numbers and jnp.issubdtype(array.dtype, jnp.inexact):
                keys = (getattr(key, "key", getattr(key, "idx", None)) for key in path)
                own[name + jax.tree_util.keystr(path)] = (name, *keys)
    return own


def _is_node(value: Any) -> bool:
    return isinstance(value, nnx.Variable | nnx.Pytree)


def _convert_stack(
    stack: Stack,
    rule: Rule,
    rngs: Any,
    wanted: Callable[[Any], bool],
    path: tuple[Any, ...],
    seen: Uses | None,
) -> list[Entry]:
    """The same for the layers of a stack, each with draws of its own."""
    entries: list[Entry] = []

    def one(layer: nnx.Module, key: jax.Array) -> nnx.Module:
        # Under vmap what comes in cannot become another object in place.
        rngs = nnx.Rngs(feedback=key)
        layer, found = converted(nnx.clone(layer), rule, rngs, wanted, path, seen)
        entries.extend(found)
        return layer

    stack.layers = stack.each(one, jax.random.key(0) if rngs is None else rngs.feedback())
    return entries
