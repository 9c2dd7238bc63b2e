"""Weight mirror: backward weights that learn the forward weights from noise."""

import dataclasses
from typing import Any

import jax
from flax import nnx

from bioflax.rules.base import DrawnRule
from bioflax.stack import Stack, unstacked


@dataclasses.dataclass(frozen=True)
class WeightMirror(DrawnRule):
    """Weight mirror: between updates, noise sent forward teaches ``B`` what ``W`` is.

    Backward ``dx = B dy``. A call of ``mirror`` sends white noise ``x`` through every such layer,
    ``y = W x`` (bias and nonlinearity silent), and each synapse correlates its two ends:

        B <- (1 - rate) B + rate <y x'>,   E <y x'> = W

    The decay is tied to the rate, which is what keeps ``B`` from growing: its fixed point is ``W``
    itself, it forgets its start as ``(1 - rate)^t``, and its noise stays bounded, with a variance
    of about ``rate / 2`` times that of ``<y x'>``. No optimiser touches ``B``.

    Args:
      feedback_init: initializer of ``B``, called as a kernel's; default ``lecun_normal()``.
      rate: step of the mirror, in (0, 1].
      samples: noise vectors in one step; more samples, less noise in ``B``.

    Raises:
      ValueError: ``rate`` or ``samples`` out of range.

    Reference: Akrout et al. 2019, eq. (10) and (11):

        @inproceedings{akrout2019deep,
          title={Deep learning without weight transport},
          author={Akrout, Mohamed and Wilson, Collin and Humphreys, Peter C. and
                  Lillicrap, Timothy and Tweed, Douglas B.},
          booktitle={Advances in Neural Information Processing Systems}, volume={32}, year={2019}}
    """

    rate: float = 0.1
    samples: int = 64

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate={self.rate} of a weight mirror must be in (0, 1]")
        if self.samples < 1:
            raise ValueError(f"samples={self.samples} of a weight mirror must be at least 1")

    def reflect(self, b: jax.Array, kernel: jax.Array, key: jax.Array) -> jax.Array:
        """``B`` after one mirror step; the kernel's last axis counts as its outputs."""
        w = kernel.reshape(-1, kernel.shape[-1])
        x = jax.random.normal(key, (self.samples, w.shape[0]), w.dtype)
        estimate = x.T @ (x @ w) / self.samples
        return (1 - self.rate) * b + self.rate * estimate.reshape(b.shape)


@nnx.jit
def mirror(model: Any, key: jax.Array) -> None:
    """One mirror step for all layers of ``model`` under ``WeightMirror``, in place and compiled.

    ``B <- (1 - rate) B + rate <y x'>`` with noise ``x`` and ``y = W x``; see ``WeightMirror``.

    Args:
      model: any NNX model.
      key: of the noise; a new one for every call.
    """
    module: Any
    for i, (_, module) in enumerate(unstacked(model)):
        noise = jax.random.fold_in(key, i)
        if isinstance(module, Stack):
            module.each(mirror, noise)
        elif isinstance(getattr(module, "rule", None), WeightMirror):
            kernel = getattr(module, module.kernel_name)[...]
            module.feedback[...] = module.rule.reflect(module.feedback[...], kernel, noise)
