"""Which modules of a model are meant: by path, by type, or by a function."""

import difflib
import fnmatch
from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx

from bioflax._product import layers

Filter = str | type | Callable[[str, nnx.Module], bool]


def inside(filters: Any, name: str, model: Any) -> Callable[[tuple[Any, ...]], bool]:
    """Whether the module at a path, or one that it is inside of, matches one of the filters."""
    modules = dict(layers(model))
    matched = set()
    for f in filters if isinstance(filters, list | tuple) else [filters]:
        if isinstance(f, type):
            found = {path for path, module in modules.items() if isinstance(module, f)}
        elif isinstance(f, str):
            found = {path for path in modules if fnmatch.fnmatch(name_of(path), f)}
            if not found:
                names = [name_of(path) for path in modules]
                near = "".join(f"; nearest: {p!r}" for p in difflib.get_close_matches(f, names, 1))
                raise ValueError(f"{name}={f!r} is not the path of a module{near}")
        elif callable(f):
            found = {path for path, module in modules.items() if f(name_of(path), module)}
        else:
            raise TypeError(f"{name}={f!r} is not a filter: give a path, a type or a function")
        matched |= found
    return lambda path: any(path[:k] in matched for k in range(len(path) + 1))


def name_of(path: Sequence[Any]) -> str:
    return "/".join(map(str, path))
