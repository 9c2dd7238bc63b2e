"""One rule per file."""

from bioflax._rules.backprop import Backprop
from bioflax._rules.base import Rule
from bioflax._rules.conditioned import Conditioned
from bioflax._rules.feedback_alignment import FeedbackAlignment
from bioflax._rules.kolen_pollack import KolenPollack
from bioflax._rules.product_feedback import ProductFeedback
from bioflax._rules.sign_symmetry import SignSymmetry
from bioflax._rules.weight_mirror import WeightMirror

__all__ = [
    "Backprop",
    "Conditioned",
    "FeedbackAlignment",
    "KolenPollack",
    "ProductFeedback",
    "Rule",
    "SignSymmetry",
    "WeightMirror",
]
