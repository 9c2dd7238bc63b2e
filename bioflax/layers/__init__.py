"""Flax's layers under a rule, one family per file."""

from bioflax.layers.attention import MultiHeadAttention
from bioflax.layers.conv import Conv, ConvTranspose
from bioflax.layers.embed import Embed
from bioflax.layers.general import Einsum, LinearGeneral
from bioflax.layers.linear import Linear
from bioflax.layers.recurrent import GRUCell, LSTMCell, OptimizedLSTMCell, SimpleCell

__all__ = [
    "Conv",
    "ConvTranspose",
    "Einsum",
    "Embed",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "LinearGeneral",
    "MultiHeadAttention",
    "OptimizedLSTMCell",
    "SimpleCell",
]
