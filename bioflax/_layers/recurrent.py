"""Recurrent cells, to be run by ``nnx.RNN``: the error goes back through time through ``B``."""

from flax import nnx

from bioflax._layers.composite import Composite


class SimpleCell(Composite, nnx.SimpleCell):
    """``nnx.SimpleCell`` whose input and recurrent weights are under a rule.

    Args:
      in_features, hidden_features: numbers of units.
      **options: those of ``nnx.SimpleCell``, by name: dtype, param_dtype, carry_init, residual,
        activation_fn, kernel_init, recurrent_kernel_init, bias_init, promote_dtype, keep_rngs,
        kernel_metadata, recurrent_kernel_metadata, bias_metadata.
      rule, rngs: as in ``Linear``.

    >>> cell = SimpleCell(3, 4, rngs=nnx.Rngs(0))
    >>> cell.dense_h.feedback.shape
    (4, 4)
    """


class LSTMCell(Composite, nnx.LSTMCell):
    """``nnx.LSTMCell`` whose input and recurrent weights are under a rule.

    Args:
      in_features, hidden_features: numbers of units.
      **options: those of ``nnx.LSTMCell``, by name: gate_fn, activation_fn, kernel_init,
        recurrent_kernel_init, bias_init, dtype, param_dtype, carry_init, promote_dtype, keep_rngs,
        kernel_metadata, recurrent_kernel_metadata, bias_metadata.
      rule, rngs: as in ``Linear``.
    """


class OptimizedLSTMCell(Composite, nnx.OptimizedLSTMCell):
    """``nnx.OptimizedLSTMCell`` whose input and recurrent weights are under a rule.

    Args:
      in_features, hidden_features: numbers of units.
      **options: those of ``nnx.OptimizedLSTMCell``, by name: gate_fn, activation_fn, kernel_init,
        recurrent_kernel_init, bias_init, dtype, param_dtype, carry_init, promote_dtype, keep_rngs,
        kernel_metadata, recurrent_kernel_metadata, bias_metadata.
      rule, rngs: as in ``Linear``.
    """


class GRUCell(Composite, nnx.GRUCell):
    """``nnx.GRUCell`` whose input and recurrent weights are under a rule.

    Args:
      in_features, hidden_features: numbers of units.
      **options: those of ``nnx.GRUCell``, by name: gate_fn, activation_fn, kernel_init,
        recurrent_kernel_init, bias_init, dtype, param_dtype, carry_init, promote_dtype, keep_rngs,
        kernel_metadata, recurrent_kernel_metadata, bias_metadata.
      rule, rngs: as in ``Linear``.
    """
