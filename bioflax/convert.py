"""One line from a Flax model to the same model under a rule, and back."""

import dataclasses
import difflib
import fnmatch
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from bioflax.direct import DirectFeedback
from bioflax.layers.swap import decoupled_class, swap
from bioflax.rules.backprop import Backprop
from bioflax.rules.base import Rule, check_rule
from bioflax.stack import Stack, unstacked

Filter = str | type | Callable[[str, nnx.Module], bool]

FILTERED = "not asked for"
NORMALISED = "its kernel is normalised, and feedback would learn another one"
# They learn another kernel than the one that the layer inside them multiplies with.
WRAPPERS = (nnx.SpectralNorm, nnx.WeightNorm)
NORMS = (nnx.BatchNorm, nnx.LayerNorm, nnx.RMSNorm, nnx.GroupNorm, nnx.InstanceNorm, nnx.PReLU)


@dataclasses.dataclass(frozen=True)
class Entry:
    """What became of one module that has parameters. ``action``: converted, exact or left."""

    path: str
    layer: str
    action: str
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """What ``convert`` did, module by module; prints as a table.

    ``exact``: the module has no weights an error could go through (normalisation), so there is
    nothing to decouple. ``left``: the module learns as before, for the reason given.
    """

    rule: Rule
    entries: tuple[Entry, ...]

    def paths(self, action: str) -> list[str]:
        """The modules that were ``"converted"``, ``"exact"`` or ``"left"``."""
        return [entry.path for entry in self.entries if entry.action == action]

    def __str__(self) -> str:
        rows = [(e.path or ".", e.layer, e.action, e.reason) for e in self.entries]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([f"{self.rule}: {len(self.paths('converted'))} layers converted", *lines])


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
    skipped = _inside(skip, "skip", model)
    wanted = (lambda path: True) if only is None else _inside(only, "only", model)
    entries = _convert(model, rule, rngs, lambda path: wanted(path) and not skipped(path), ())
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


def _convert(
    model: Any, rule: Rule, rngs: Any, wanted: Callable[[Any], bool], above: tuple[Any, ...]
) -> list[Entry]:
    """Convert ``model`` in place, and say what was done. ``above``: its path in the whole model."""
    entries = []
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
            module.mode = "bp"
        if isinstance(module, Stack):
            entries += _convert_stack(module, rule, rngs, wanted, (*path, "layers"))
        parameters = _own(module)
        if not parameters or id(module) in learned:
            continue
        if not wanted(path):
            action, reason = "left", FILTERED
        elif id(module) in wrapped and decoupled_class(type(module)):
            action, reason = "left", NORMALISED
        elif swap(module, rule, rngs):
            action, reason = "converted", ""
        elif isinstance(module, NORMS) or all(p.ndim <= 1 for p in parameters.values()):
            action, reason = "exact", "no weights for an error to go through"
        else:
            matrices = [name for name, p in parameters.items() if p.ndim > 1]
            action, reason = "left", f"uses {', '.join(matrices)} by itself"
        entries.append(Entry(_name(path), type(module).__name__, action, reason))
    return entries


def _own(module: nnx.Module) -> dict[str, nnx.Param[Any]]:
    """A module's parameters by name, those in its lists and dicts too, but not its submodules'."""
    own = {}
    for name, value in vars(module).items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(value, is_leaf=_is_node):
            if isinstance(leaf, nnx.Param):
                own[name + jax.tree_util.keystr(path)] = leaf
    return own


def _is_node(value: Any) -> bool:
    return isinstance(value, nnx.Variable | nnx.Module)


def _convert_stack(
    stack: Stack, rule: Rule, rngs: Any, wanted: Callable[[Any], bool], path: tuple[Any, ...]
) -> list[Entry]:
    """The same for the layers of a stack, each with draws of its own."""
    entries: list[Entry] = []

    def one(layer: nnx.Module, key: jax.Array) -> nnx.Module:
        layer = nnx.clone(layer)  # under vmap a module cannot change its class in place
        entries.extend(_convert(layer, rule, nnx.Rngs(feedback=key), wanted, path))
        return layer

    stack.layers = stack.each(one, jax.random.key(0) if rngs is None else rngs.feedback())
    return entries


def _inside(filters: Any, name: str, model: Any) -> Callable[[tuple[Any, ...]], bool]:
    """Whether the module at a path, or one that it is inside of, matches one of the filters."""
    modules = dict(nnx.iter_modules(model))
    matched = set()
    for f in filters if isinstance(filters, list | tuple) else [filters]:
        if isinstance(f, type):
            found = {path for path, module in modules.items() if isinstance(module, f)}
        elif isinstance(f, str):
            found = {path for path in modules if fnmatch.fnmatch(_name(path), f)}
            if not found:
                names = [_name(path) for path in modules]
                near = "".join(f"; nearest: {p!r}" for p in difflib.get_close_matches(f, names, 1))
                raise ValueError(f"{name}={f!r} is not the path of a module{near}")
        elif callable(f):
            found = {path for path, module in modules.items() if f(_name(path), module)}
        else:
            raise TypeError(f"{name}={f!r} is not a filter: give a path, a type or a function")
        matched |= found
    return lambda path: any(path[:k] in matched for k in range(len(path) + 1))


def _name(path: Sequence[Any]) -> str:
    return "/".join(map(str, path))
