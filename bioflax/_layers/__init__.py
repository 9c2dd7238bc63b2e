"""Flax's layers under a rule, one family per file."""

from bioflax._layers.attention import MultiHeadAttention
from bioflax._layers.conv import Conv, ConvTranspose
from bioflax._layers.embed import Embed
from bioflax._layers.general import Einsum, LinearGeneral
from bioflax._layers.linear import Linear
from bioflax._layers.recurrent import GRUCell, LSTMCell, OptimizedLSTMCell, SimpleCell

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
