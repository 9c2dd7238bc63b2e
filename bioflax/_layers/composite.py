"""Modules of Flax's that are made of several layers."""

from typing import Any

from flax import nnx

from bioflax._layers.base import streams_for
from bioflax._layers.place import place, rewired
from bioflax._product import products, put_under
from bioflax._rules.base import Rule, check_rule
from bioflax._rules.feedback_alignment import DEFAULT


class Composite(nnx.Module):
    """A module of Flax's made of several layers, each put under the rule.

    To be inherited before the Flax module, whose ``__init__`` and ``__call__`` stay whole.
    """

    def __init__(self, *args: Any, rule: Rule = DEFAULT, rngs: nnx.Rngs, **kwargs: Any) -> None:
        check_rule(rule)
        super().__init__(*args, rngs=rngs, **kwargs)  # type: ignore[call-arg]
        placed, rngs = [], streams_for(rule, rngs)
        for _, layer in list(nnx.iter_modules(self)):
            ours = place(layer)
            placed.append((layer, ours))
            for name, _ in products(ours):
                put_under(ours, name, rule, rngs)
        rewired(self, placed)
