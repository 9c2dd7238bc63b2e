"""Biologically plausible learning rules for Flax NNX.

A layer is a product that is linear in its input and in its kernel. Backpropagation sends the error
back through the kernel ``W``; a feedback rule sends it back through other weights ``B``. The layers
here are Flax's own with a ``Product`` in its place (``bioflax.Linear``, ``bioflax.Conv``, ...), the
rules say where ``B`` comes from, ``DirectFeedback`` sends the output error straight to every block, and
``alignment`` measures how close all of this is to backpropagation.

>>> import bioflax, jax
>>> from flax import nnx
>>> rngs = nnx.Rngs(0)
>>> layer = bioflax.Linear(784, 10, rule=bioflax.FeedbackAlignment(), rngs=rngs)
>>> layer(jax.numpy.ones((32, 784))).shape
(32, 10)
"""

from bioflax._alignment import Alignment, alignment
from bioflax._angle import angle
from bioflax._convert import convert
from bioflax._diagnostics import Diagnostics
from bioflax._direct import (
    CentredFeedback,
    DirectFeedback,
    DirectFeedbackAlignment,
    DirectKolenPollack,
    DirectRandomTargetProjection,
    ErrorSignFeedback,
    ExactFeedback,
    IndirectFeedbackAlignment,
    normalised,
)
from bioflax._direct.marked import Marked, direct
from bioflax._feedback import Feedback, decouple
from bioflax._history import history
from bioflax._law import Law, alike, gap, global_norm
from bioflax._layers import (
    Conv,
    ConvTranspose,
    Einsum,
    Embed,
    GRUCell,
    Linear,
    LinearGeneral,
    LSTMCell,
    MultiHeadAttention,
    OptimizedLSTMCell,
    SimpleCell,
)
from bioflax._mirror import mirror
from bioflax._product import Product
from bioflax._report import Report
from bioflax._rules import (
    Backprop,
    Conditioned,
    FeedbackAlignment,
    KolenPollack,
    ProductFeedback,
    Rule,
    SignSymmetry,
    WeightMirror,
)
from bioflax._signals import signals
from bioflax._stack import Stack

__all__ = [
    "Alignment",
    "Backprop",
    "CentredFeedback",
    "Conditioned",
    "Conv",
    "ConvTranspose",
    "Diagnostics",
    "DirectFeedback",
    "DirectFeedbackAlignment",
    "DirectKolenPollack",
    "DirectRandomTargetProjection",
    "Einsum",
    "Embed",
    "ErrorSignFeedback",
    "ExactFeedback",
    "Feedback",
    "FeedbackAlignment",
    "GRUCell",
    "IndirectFeedbackAlignment",
    "KolenPollack",
    "LSTMCell",
    "Law",
    "Linear",
    "LinearGeneral",
    "Marked",
    "MultiHeadAttention",
    "OptimizedLSTMCell",
    "Product",
    "ProductFeedback",
    "Report",
    "Rule",
    "SignSymmetry",
    "SimpleCell",
    "Stack",
    "WeightMirror",
    "alignment",
    "alike",
    "angle",
    "convert",
    "decouple",
    "direct",
    "gap",
    "global_norm",
    "history",
    "mirror",
    "normalised",
    "signals",
]
__version__ = "0.1.0"
