"""Attention."""

from flax import nnx

from bioflax._layers.composite import Composite


class MultiHeadAttention(Composite, nnx.MultiHeadAttention):
    """``nnx.MultiHeadAttention`` whose projections are under a rule.

    The query, key, value and output projections (``LinearGeneral``) each have a ``feedback``. The
    attention itself has no weights: the error passes it as in backpropagation.

    Args:
      num_heads, in_features, qkv_features, out_features: as in ``nnx.MultiHeadAttention``.
      **options: those of Flax's layer, by name: num_kv_heads, in_kv_features, dtype, param_dtype,
        broadcast_dropout, dropout_rate, deterministic, precision, kernel_init, out_kernel_init,
        bias_init, out_bias_init, use_bias, attention_fn, decode, normalize_qk, qkv_promote_dtype,
        out_promote_dtype, ln_promote_dtype, qkv_dot_general, out_dot_general, qkv_dot_general_cls,
        out_dot_general_cls, keep_rngs, kernel_metadata, out_kernel_metadata, bias_metadata,
        out_bias_metadata, query_ln_scale_metadata, key_ln_scale_metadata.
      rule, rngs: as in ``Linear``.

    >>> layer = MultiHeadAttention(num_heads=2, in_features=4, rngs=nnx.Rngs(0))
    >>> layer.query.feedback.shape
    (4, 2, 2)
    """
