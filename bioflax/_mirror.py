"""The step in which a weight mirror learns."""

from typing import Any

import jax
from flax import nnx

from bioflax._product import kernel_of, products
from bioflax._rules.weight_mirror import WeightMirror
from bioflax._stack import Stack, unstacked


@nnx.jit
def mirror(model: Any, key: jax.Array) -> None:
    """One mirror step for all layers of ``model`` under ``WeightMirror``, in place and compiled.

    ``B <- (1 - rate) B + rate <y x'>`` with noise ``x`` and ``y = W x``, or as the authors' code has
    it; see ``WeightMirror``.

    Args:
      model: any NNX model.
      key: of the noise; a new one for every call.
    """
    module: Any
    for i, (_, module) in enumerate(unstacked(model)):
        noise = jax.random.fold_in(key, i)
        if isinstance(module, Stack):
            module.each(mirror, noise)
            continue
        for j, (_, product) in enumerate(products(module)):
            if isinstance(product.rule, WeightMirror):
                own = jax.random.fold_in(noise, j) if j else noise
                kernel = kernel_of(module, product)[...]
                bias = getattr(module, "bias", None)
                b = product.rule.reflect(
                    product.feedback[...], kernel, own, None if bias is None else bias[...]
                )
                product.feedback[...] = b
