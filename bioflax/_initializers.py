"""Initializers that are equal where they were made of the same function with the same arguments."""

import functools
import types
import weakref
from collections.abc import Callable
from typing import Any

_known: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()


def same(init: Callable[..., Any]) -> Callable[..., Any]:
    """The first function made as ``init`` was: by the same code, around the same values.

    ``nnx.initializers.normal(0.1)`` is a new function in every call. Rules and nets are static, and
    what is compiled for one would not be found for another that holds such a function. Functions
    around values that cannot be compared (arrays) stay what they are.
    """
    try:
        return _known.setdefault(_made_of(init), init)
    except TypeError:  # a value without a hash, or an object that nothing can refer to weakly
        return init


def _made_of(value: Any) -> Any:
    if isinstance(value, functools.partial):
        keywords = tuple((k, _made_of(v)) for k, v in sorted(value.keywords.items()))
        return "partial", _made_of(value.func), tuple(map(_made_of, value.args)), keywords
    if isinstance(value, types.FunctionType):
        cells = tuple(_made_of(cell.cell_contents) for cell in value.__closure__ or ())
        defaults = tuple(map(_made_of, value.__defaults__ or ()))
        named = tuple((k, _made_of(v)) for k, v in (value.__kwdefaults__ or {}).items())
        return value.__code__, id(value.__globals__), cells, defaults, named
    if isinstance(value, tuple):
        return tuple, tuple(map(_made_of, value))
    hash(value)
    return type(value), value, str(value) if isinstance(value, float) else ""
