"""Weight mirror: backward weights that learn the forward weights from noise."""

import dataclasses

import jax

from bioflax._rules.base import DrawnRule


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
        super().__post_init__()
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
