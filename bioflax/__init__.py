"""Biologically plausible learning rules for Flax NNX.

A layer is a product that is linear in its input and in its kernel. Backpropagation sends the error
back through the kernel ``W``; a feedback rule sends it back through other weights ``B``. The layers
here are Flax's own with that product swapped (``bioflax.Linear``, ``bioflax.Conv``, ...), the rules
say where ``B`` comes from, ``DirectFeedback`` sends the output error straight to every block, and
``alignment`` measures how close all of this is to backpropagation.

>>> import bioflax, jax
>>> from flax import nnx
>>> rngs = nnx.Rngs(0)
>>> layer = bioflax.Linear(784, 10, rule=bioflax.FeedbackAlignment(), rngs=rngs)
>>> layer(jax.numpy.ones((32, 784))).shape
(32, 10)
"""

from bioflax.alignment import Alignment, alignment, angle, signals
from bioflax.convert import Report, convert
from bioflax.direct import DirectFeedback
from bioflax.feedback import Feedback, decouple
from bioflax.history import history
from bioflax.layers import (
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
from bioflax.rules import (
    Backprop,
    FeedbackAlignment,
    KolenPollack,
    Rule,
    SignSymmetry,
    WeightMirror,
    mirror,
)
from bioflax.stack import Stack

__all__ = [
    "Alignment",
    "Backprop",
    "Conv",
    "ConvTranspose",
    "DirectFeedback",
    "Einsum",
    "Embed",
    "Feedback",
    "FeedbackAlignment",
    "GRUCell",
    "KolenPollack",
    "LSTMCell",
    "Linear",
    "LinearGeneral",
    "MultiHeadAttention",
    "OptimizedLSTMCell",
    "Report",
    "Rule",
    "SignSymmetry",
    "SimpleCell",
    "Stack",
    "WeightMirror",
    "alignment",
    "angle",
    "convert",
    "decouple",
    "history",
    "mirror",
    "signals",
]
__version__ = "0.1.0"
