"""Feedback alignment: the error goes through fixed random weights."""

import dataclasses

from bioflax._rules.base import DrawnRule


@dataclasses.dataclass(frozen=True)
class FeedbackAlignment(DrawnRule):
    """Feedback alignment: fixed random backward weights; the forward weights align with them.

    Backward ``dx = B dy`` with ``B`` drawn once, where backpropagation has ``dx = W' dy``. A layer's
    ``B`` changes what the layers below it receive; its own ``dW = dy x'`` is exact for the ``dy`` that
    reaches it, so the last layer learns as in backpropagation.

    Args:
      feedback_init: initializer of ``B``, called as a kernel's; default ``lecun_normal()``.

    Reference: Lillicrap et al. 2016, Fig. 1 and Methods:

        @article{lillicrap2016random,
          title={Random synaptic feedback weights support error backpropagation for deep learning},
          author={Lillicrap, Timothy P. and Cownden, Daniel and Tweed, Douglas B. and
                  Akerman, Colin J.},
          journal={Nature Communications}, volume={7}, pages={13276}, year={2016}}
    """


# The rule of a layer that is given none.
DEFAULT = FeedbackAlignment()
