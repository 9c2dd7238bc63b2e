"""From what a user lists to the blocks of a net."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from bioflax._direct.stage import Block


def grouped(blocks: Sequence[Any]) -> list[nnx.Module]:
    """Blocks as modules; in a flat list, what has no parameters joins the layer before it."""
    groups: list[list[Any]] = []
    for part in blocks:
        several = isinstance(part, list | tuple | nnx.List)
        if not several and not callable(part):
            raise TypeError(f"blocks[{len(groups)}] is {part!r}: neither a module nor a function")
        lone = bool(groups) and not any(map(has_parameters, groups[-1]))
        if groups and not several and (lone or not has_parameters(part)):
            groups[-1].append(part)
        else:
            groups.append(list(part) if several else [part])
    if not groups:
        raise ValueError("blocks is empty: direct feedback needs at least one block")
    return [as_module(group) for group in groups]


def as_module(parts: Any) -> nnx.Module:
    """One module, or modules and functions one after the other, as one module."""
    parts = list(parts) if isinstance(parts, list | tuple | nnx.List) else [parts]
    if len(parts) == 1 and isinstance(parts[0], nnx.Module):
        return parts[0]
    return nnx.Sequential(*parts)


def has_parameters(part: Any) -> bool:
    """Whether ``part`` is a module with parameters."""
    return isinstance(part, nnx.Module) and bool(nnx.to_flat_state(nnx.state(part, nnx.Param)))


def first_input(block: nnx.Module) -> jax.ShapeDtypeStruct | None:
    """The shape of one input, where the first layer tells it."""
    layer = block.layers[0] if isinstance(block, nnx.Sequential) else block
    if isinstance(layer, nnx.Linear):
        return jax.ShapeDtypeStruct((1, layer.in_features), layer.param_dtype)  # type: ignore[no-untyped-call]
    return None


def check_sharing(stages: Sequence[Block]) -> None:
    """Raise ValueError for state other than parameters that is in two blocks."""
    owner: dict[int, int] = {}
    for i, stage in enumerate(stages):
        for path, value in nnx.iter_graph(stage.module):
            if not isinstance(value, nnx.Variable) or isinstance(value, nnx.Param):
                continue
            if owner.setdefault(id(value), i) != i:
                name = "/".join(map(str, path))
                raise ValueError(
                    f"{name} is in two blocks, {owner[id(value)]} and {i}: blocks run on their "
                    "own, and may share parameters but no other state"
                )
