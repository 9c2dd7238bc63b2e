"""One line from a Flax model to the same model under a rule, and back."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from bioflax._direct.exact import ExactFeedback
from bioflax._direct.net import DirectFeedback
from bioflax._filters import Filter, inside, name_of
from bioflax._layers.place import family, place, rewired, why_left
from bioflax._product import products, put_under
from bioflax._report import Entry, Report
from bioflax._rules.backprop import Backprop
from bioflax._rules.base import Rule, check_rule
from bioflax._stack import Stack, unstacked

FILTERED = "not asked for"
NORMALISED = "its kernel is normalised, and feedback would learn another one"
# They learn another kernel than the one that the layer inside them multiplies with.
WRAPPERS = (nnx.SpectralNorm, nnx.WeightNorm)
NORMS = (nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.GroupNorm, nnx.InstanceNorm, nnx.PReLU)


def convert(
    model: Any,
    rule: Rule,
    *,
    rngs: nnx.Rngs | None = None,
    skip: Filter | Sequence[Filter] = (),
    only: Filter | Sequence[Filter] | None = None,
    strict: bool = False,
    report: bool = False,
) -> Any:
    """The same model with every layer under ``rule``: parameters kept, feedback added.

    A layer under a rule is Flax's own with a ``Product`` in the place of what it multiplies with.
    What is exactly Flax's comes back as ours (``nnx.Linear`` as ``bioflax.Linear``), with ``rule``
    and ``feedback``. A subclass of yours stays what it is, and has them at its product
    (``layer.dot_general.feedback``); where it has a ``__call__`` of its own, the report says whether
    that calls the product, which is found out by running it on shapes. A layer of your own that
    multiplies by itself can be converted where it calls a ``Product``.

    ``convert(model, Backprop())`` goes back; it also sets ``DirectFeedback`` to ``mode="bp"``, so
    it gives the exact backpropagation twin of a model at the same parameters.

    Args:
      model: any NNX model; it is left as it is.
      rule: the rule, for all layers.
      rngs: stream ``feedback``; not needed for ``Backprop``.
      skip: modules to leave, with all that is inside them: paths (``"encoder"``,
        ``"blocks/*/attention"``), types, functions ``(path, module) -> bool``, or several of these.
      only: modules to convert, with all that is inside them; the others are left.
      strict: raise when a module with parameters is left that no filter names.
      report: print what was done, and return ``(model, Report)``.

    Returns:
      The converted copy, or with ``report`` the copy and a ``Report``.

    Raises:
      TypeError: ``rule`` is no rule; no ``rngs`` for a rule that draws feedback.
      ValueError: a path in ``skip`` or ``only`` that is not in the model; with ``strict``, the
        modules that cannot be decoupled.

    >>> net = nnx.Sequential(nnx.Linear(3, 4, rngs=nnx.Rngs(0)), jax.numpy.tanh)
    >>> from bioflax import FeedbackAlignment
    >>> net, _ = convert(net, FeedbackAlignment(), rngs=nnx.Rngs(1), report=True)
    FeedbackAlignment(): 1 layers converted
    layers/0  Linear  converted
    """
    check_rule(rule)
    if rngs is None and not isinstance(rule, Backprop):
        raise TypeError(f"{rule!r} draws feedback: give rngs=nnx.Rngs(...)")
    model = nnx.clone(model)
    skipped = inside(skip, "skip", model)
    wanted = (lambda path: True) if only is None else inside(only, "only", model)
    model, entries = converted(model, rule, rngs, lambda path: wanted(path) and not skipped(path))
    summary = Report(rule, tuple(entries))
    stuck = [e for e in entries if e.action == "left" and e.reason != FILTERED]
    if strict and stuck:
        raise ValueError(
            "cannot be decoupled: " + "; ".join(f"{e.path} ({e.layer}): {e.reason}" for e in stuck)
        )
    if not report:
        return model
    print(summary)
    return model, summary


def converted(
    model: Any,
    rule: Rule,
    rngs: Any,
    wanted: Callable[[Any], bool] = lambda path: True,
    above: tuple[Any, ...] = (),
) -> tuple[Any, list[Entry]]:
    """``model``, in place, under ``rule``, and what was done.

    It is another object where a single layer is the whole model. ``above``: its path in the whole
    model.
    """
    entries: list[Entry] = []
    placed: list[tuple[Any, Any]] = []
    learned = {id(m.feedback) for _, m in nnx.iter_modules(model) if isinstance(m, DirectFeedback)}
    wrapped = {
        id(m)
        for _, wrapper in nnx.iter_modules(model)
        if isinstance(wrapper, WRAPPERS) and rule.shared
        for _, m in nnx.iter_modules(wrapper)
    }
    for below, module in list(unstacked(model)):
        path = (*above, *below)
        if isinstance(module, DirectFeedback) and isinstance(rule, Backprop):
            module.mode = ExactFeedback()
        if isinstance(module, Stack):
            entries += _convert_stack(module, rule, rngs, wanted, (*path, "layers"))
        if not _own(module) or id(module) in learned:
            continue
        ours, done = module, [("left", FILTERED)]
        if wanted(path):
            ours, done = _convert_one(module, rule, rngs, id(module) in wrapped)
            placed.append((module, ours))
        kind = type(module).__name__
        entries += [Entry(name_of(path), kind, action, why) for action, why in done]
    return rewired(model, placed), entries


def _convert_one(
    module: Any, rule: Rule, rngs: Any, normalised: bool
) -> tuple[Any, list[tuple[str, str]]]:
    """A module with parameters under ``rule``, not what is inside it; actions and their reasons."""
    known = family(module) or products(module)
    if known and normalised:
        return module, [("left", NORMALISED)]
    # What has a product can always go back.
    goes_back = isinstance(rule, Backprop) and products(module)
    if known and not goes_back and (why := why_left(module)):
        return module, [("left", why)]
    ours, parameters, stacked = place(module), _own(module), 0
    own = products(ours)
    for name, product in own:
        put_under(ours, name, rule, rngs)
        kernel = parameters.pop(product.kernel, None)
        if kernel is not None and product.ndim is not None:
            stacked = max(stacked, kernel.ndim - product.ndim)
    if family(ours):
        parameters.pop("bias", None)  # of several axes in LinearGeneral and Einsum
    done = [("converted", "")] if own else []
    matrices = [name for name, p in parameters.items() if p.ndim - stacked > 1]
    if matrices and not isinstance(module, NORMS):
        done.append(("left", f"uses {', '.join(matrices)} by itself"))
    return ours, done or [("exact", "no weights for an error to go through")]


def _own(module: nnx.Module) -> dict[str, nnx.Param[Any]]:
    """A module's parameters by name, those in its lists and dicts too, but not its submodules'."""
    own = {}
    for name, value in vars(module).items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(value, is_leaf=_is_node):
            if isinstance(leaf, nnx.Param):
                own[name + jax.tree_util.keystr(path)] = leaf
    return own


def _is_node(value: Any) -> bool:
    return isinstance(value, nnx.Variable | nnx.Pytree)


def _convert_stack(
    stack: Stack, rule: Rule, rngs: Any, wanted: Callable[[Any], bool], path: tuple[Any, ...]
) -> list[Entry]:
    """The same for the layers of a stack, each with draws of its own."""
    entries: list[Entry] = []

    def one(layer: nnx.Module, key: jax.Array) -> nnx.Module:
        # Under vmap what comes in cannot become another object in place.
        layer, found = converted(nnx.clone(layer), rule, nnx.Rngs(feedback=key), wanted, path)
        entries.extend(found)
        return layer

    stack.layers = stack.each(one, jax.random.key(0) if rngs is None else rngs.feedback())
    return entries
