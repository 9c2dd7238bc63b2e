"""Direct feedback: the net, and one way of feeding it per file."""

from bioflax._direct.centred import CentredFeedback
from bioflax._direct.error_sign import ErrorSignFeedback
from bioflax._direct.exact import ExactFeedback
from bioflax._direct.feedback_alignment import DirectFeedbackAlignment
from bioflax._direct.indirect import IndirectFeedbackAlignment
from bioflax._direct.kolen_pollack import DirectKolenPollack
from bioflax._direct.net import DirectFeedback
from bioflax._direct.normalised import normalised
from bioflax._direct.target_projection import DirectRandomTargetProjection

__all__ = [
    "CentredFeedback",
    "DirectFeedback",
    "DirectFeedbackAlignment",
    "DirectKolenPollack",
    "DirectRandomTargetProjection",
    "ErrorSignFeedback",
    "ExactFeedback",
    "IndirectFeedbackAlignment",
    "normalised",
]
