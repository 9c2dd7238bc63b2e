"""The learning rules that a spec may name: what each is in bioflax, and how it looks in a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replications.harness.errors import UserError, nearest

# Equal hidden layers beyond this number are compiled as one (``bioflax.Stack``).
DEEP = 8

# Colours: Okabe and Ito's palette. Its yellow is too pale for a line on white, so node perturbation
# has a dark red; the grey is light enough to differ from the green for a deuteranope.


@dataclass(frozen=True)
class LearningRule:
    """One rule. A new one is one more row of ``RULES``.

    Attributes:
      label, colour: in every picture and table.
      layer: the name in bioflax of the rule of every layer, or with ``direct`` of the hidden ones.
      options: argument of that rule's constructor -> the field of the spec that gives it.
      direct: the name in bioflax of the way in which ``DirectFeedback`` trains the blocks, for a rule
        of whole nets.
      readout_only: the hidden layers do not learn.
      after_update: the name in bioflax of what is called with the model and a key after every update.
      perturbs: hidden units learn from noise and one global reward, in place of an error sent back.
      carried: the error goes from layer to layer, so that equal layers cannot be compiled as one.
    """

    label: str
    colour: str
    layer: str = "Backprop"
    options: Mapping[str, str] = field(default_factory=dict)
    direct: str | None = None
    readout_only: bool = False
    after_update: str | None = None
    perturbs: bool = False
    carried: bool = False

    @property
    def feedback(self) -> bool:
        """Whether every layer has backward weights of its own."""
        return self.layer != "Backprop" and self.direct is None

    @property
    def noisy(self) -> bool:
        """Whether an update draws random numbers."""
        return self.perturbs or self.after_update is not None

    @property
    def library(self) -> list[str]:
        """The names in bioflax that are this rule's alone."""
        names = [self.layer, self.direct, self.after_update]
        return [name for name in names if name]

    @property
    def computes(self) -> dict[str, Any]:
        """What of the row decides a number."""
        return {k: v for k, v in vars(self).items() if k not in ("label", "colour")}


RULES: dict[str, LearningRule] = {
    "backprop": LearningRule("backprop", "#000000"),
    "feedback_alignment": LearningRule("feedback alignment", "#009E73", "FeedbackAlignment"),
    "direct_feedback_alignment": LearningRule(
        "direct feedback alignment", "#0072B2", direct="DirectFeedbackAlignment"
    ),
    "indirect_feedback_alignment": LearningRule(
        "indirect feedback alignment", "#56B4E9", direct="IndirectFeedbackAlignment", carried=True
    ),
    "kolen_pollack": LearningRule("Kolen-Pollack", "#D55E00", "KolenPollack"),
    "weight_mirror": LearningRule(
        "weight mirror",
        "#CC79A7",
        "WeightMirror",
        {"rate": "mirror_rate", "samples": "mirror_samples", "form": "mirror_form"},
        after_update="mirror",
    ),
    "sign_symmetry": LearningRule("sign symmetry", "#E69F00", "SignSymmetry"),
    "error_centring": LearningRule("error centring", "#8800FF", direct="CentredFeedback"),
    "product_feedback": LearningRule("product feedback alignment", "#112288", "ProductFeedback"),
    "conditioned_feedback": LearningRule(
        "conditioned direct feedback",
        "#DDBB77",
        "Conditioned",
        {"activity": "activity_damping", "error": "error_damping", "loss": "reduction"},
        direct="DirectFeedbackAlignment",
    ),
    "shallow": LearningRule("shallow", "#B5B5B5", readout_only=True),
    "node_perturbation": LearningRule("node perturbation", "#661100", perturbs=True),
}


def of_arm(arm: str) -> str:
    """The rule of an arm: ``backprop_4`` is backprop, ``sparse_backprop`` as well. Raises UserError."""
    name = arm.removeprefix("sparse_")
    for known in RULES:
        if name == known or name.startswith(known + "_"):
            return known
    raise UserError(f"no colour for arm {arm!r}: it starts with no rule; {nearest(name, RULES)}")
