"""Recurrent cells, to be run by ``nnx.RNN``: the error goes back through time through ``B``."""

from flax import nnx

from bioflax.layers.product import shows_options
from bioflax.layers.swap import Composite


@shows_options
class SimpleCell(Composite, nnx.SimpleCell):
    """``nnx.SimpleCell`` whose input and recurrent weights are under a rule.

    Takes all arguments of ``nnx.SimpleCell``, and ``rule``.

    >>> cell = SimpleCell(3, 4, rngs=nnx.Rngs(0))
    >>> cell.dense_h.feedback.shape
    (4, 4)
    """


@shows_options
class LSTMCell(Composite, nnx.LSTMCell):
    """``nnx.LSTMCell`` whose input and recurrent weights are under a rule.

    Takes all arguments of ``nnx.LSTMCell``, and ``rule``.
    """


@shows_options
class OptimizedLSTMCell(Composite, nnx.OptimizedLSTMCell):
    """``nnx.OptimizedLSTMCell`` whose input and recurrent weights are under a rule.

    Takes all arguments of ``nnx.OptimizedLSTMCell``, and ``rule``.
    """


@shows_options
class GRUCell(Composite, nnx.GRUCell):
    """``nnx.GRUCell`` whose input and recurrent weights are under a rule.

    Takes all arguments of ``nnx.GRUCell``, and ``rule``.
    """
