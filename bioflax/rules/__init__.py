"""One rule per file."""

from bioflax.rules.backprop import Backprop
from bioflax.rules.base import Rule
from bioflax.rules.feedback_alignment import FeedbackAlignment
from bioflax.rules.kolen_pollack import KolenPollack
from bioflax.rules.sign_symmetry import SignSymmetry
from bioflax.rules.weight_mirror import WeightMirror, mirror

__all__ = [
    "Backprop",
    "FeedbackAlignment",
    "KolenPollack",
    "Rule",
    "SignSymmetry",
    "WeightMirror",
    "mirror",
]
