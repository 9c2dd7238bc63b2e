"""Direct feedback alignment: the output error goes to every block through its own weights."""

import dataclasses
from typing import ClassVar

from bioflax._direct.base import Direct


@dataclasses.dataclass(frozen=True)
class DirectFeedbackAlignment(Direct):
    """Direct feedback alignment (``"dfa"``): block ``l`` receives ``B_l e``.

    ``e = dL/dy`` is the error at the net's output, ``B_l`` drawn once.

    Reference: Nokland 2016, Fig. 1c:

        @inproceedings{nokland2016direct,
          title={Direct feedback alignment provides learning in deep neural networks},
          author={N{\\o}kland, Arild},
          booktitle={Advances in Neural Information Processing Systems}, volume={29}, year={2016}}
    """

    name: ClassVar[str] = "dfa"
