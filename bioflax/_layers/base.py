"""What the layers here add to Flax's: a product in its place, a rule, and a way to the feedback."""

from typing import Any, ClassVar

from flax import nnx

from bioflax._product import Product, put_under
from bioflax._rules.backprop import Backprop
from bioflax._rules.base import Rule, check_rule
from bioflax._rules.feedback_alignment import DEFAULT
from bioflax._streams import apart


def streams_for(rule: Rule, rngs: Any) -> Any:
    """What ``rule`` draws from; nothing is taken from ``rngs`` where it draws nothing."""
    return rngs if isinstance(rule, Backprop) else apart(rngs)


class Ruled(nnx.Module):
    """A Flax layer whose product holds a rule. To be inherited before the Flax layer.

    ``slot``: the attribute that is the product. ``carrier``: the method that calls it.
    """

    slot: ClassVar[str] = "product"
    carrier: ClassVar[str] = "__call__"
    product: Any

    def __init__(self, *args: Any, rule: Rule = DEFAULT, rngs: nnx.Rngs, **kwargs: Any) -> None:
        check_rule(rule)
        super().__init__(*args, rngs=rngs, **kwargs)  # type: ignore[call-arg]
        self._install(self)
        put_under(self, self.slot, rule, streams_for(rule, rngs))

    @classmethod
    def _install(cls, layer: Any) -> None:
        """Put a product in the place of what ``layer``, one of Flax's, multiplies with."""
        given = vars(layer).get(cls.slot)
        if not isinstance(given, Product):
            setattr(layer, cls.slot, nnx.data(cls._product_of(layer, given)))

    @staticmethod
    def _product_of(layer: Any, given: Any) -> Product:
        raise NotImplementedError

    @property
    def rule(self) -> Rule:
        """The layer's rule."""
        return vars(self)[self.slot].rule

    @property
    def feedback(self) -> Any:
        """The layer's backward weights ``B``, or what else its rule keeps."""
        return vars(self)[self.slot].feedback

    @feedback.setter
    def feedback(self, value: Any) -> None:
        vars(self)[self.slot].feedback = value
