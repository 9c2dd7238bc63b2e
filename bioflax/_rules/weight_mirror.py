"""Weight mirror: backward weights that learn the forward weights from noise."""

import dataclasses
from typing import Literal

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

    That is ``form="paper"``. The authors' code does another thing, here as ``form="code"``: noise of
    small amplitude, uniform in [-0.05, 0.05], goes through the layer's bias and a logistic unit, the
    products are summed over the samples, and nothing decays:

        B <- B + rate sum_k x_k sigmoid(x_k W + b)'

    Its mean step is ``rate samples / 4800 W`` where the biases are small, so ``B`` turns to ``W`` and
    grows with the number of steps, and with it the error signals. Call ``mirror`` a few hundred
    times before the first update, as the code does (468 times with ``rate=0.01, samples=128``).

    Args:
      feedback_init: initializer of ``B``, called as a kernel's; default ``lecun_normal()``.
      rate: step of the mirror, in (0, 1].
      samples: noise vectors in one step; more samples, less noise in ``B``.
      form: ``"paper"``, or ``"code"`` for what the authors' program does.

    Raises:
      ValueError: ``rate``, ``samples`` or ``form`` out of range; ``mirror`` of a layer whose bias is
        not one number an output, under ``"code"``.

    Reference: Akrout et al. 2019, eq. (10) and (11), and the code that its authors published:

        @inproceedings{akrout2019deep,
          title={Deep learning without weight transport},
          author={Akrout, Mohamed and Wilson, Collin and Humphreys, Peter C. and
                  Lillicrap, Timothy and Tweed, Douglas B.},
          booktitle={Advances in Neural Information Processing Systems}, volume={32}, year={2019}}
    """

    rate: float = 0.1
    samples: int = 64
    form: Literal["paper", "code"] = "paper"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate={self.rate} of a weight mirror must be in (0, 1]")
        if self.samples < 1:
            raise ValueError(f"samples={self.samples} of a weight mirror must be at least 1")
        if self.form not in ("paper", "code"):
            raise ValueError(f"form={self.form!r} of a weight mirror must be 'paper' or 'code'")

    def reflect(
        self, b: jax.Array, kernel: jax.Array, key: jax.Array, bias: jax.Array | None = None
    ) -> jax.Array:
        """``B`` after one mirror step; the kernel's last axis counts as its outputs.

        ``bias`` (outputs,), or None where the layer has none, is silent in the paper's form.
        """
        w = kernel.reshape(-1, kernel.shape[-1])
        if self.form == "code":
            x = jax.random.uniform(key, (self.samples, w.shape[0]), w.dtype, -0.05, 0.05)
            if bias is not None and bias.shape != w.shape[1:]:
                raise ValueError(
                    f"a weight mirror of form='code' is of layers with a bias of shape {w.shape[1:]}, "
                    f"not {bias.shape}"
                )
            y = jax.nn.sigmoid(x @ w if bias is None else x @ w + bias[None])
            return b + self.rate * (x.T @ y).reshape(b.shape)
        x = jax.random.normal(key, (self.samples, w.shape[0]), w.dtype)
        estimate = x.T @ (x @ w) / self.samples
        return (1 - self.rate) * b + self.rate * estimate.reshape(b.shape)
