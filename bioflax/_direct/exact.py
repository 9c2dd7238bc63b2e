"""No direct feedback: the error goes back from block to block."""

import dataclasses
from typing import ClassVar

from bioflax._direct.base import Direct


@dataclasses.dataclass(frozen=True)
class ExactFeedback(Direct):
    """Backpropagation (``"bp"``): block ``l`` receives ``dL/dh_l`` itself.

    Reference: Rumelhart, Hinton, Williams 1986:

        @article{rumelhart1986learning,
          title={Learning representations by back-propagating errors},
          author={Rumelhart, David E. and Hinton, Geoffrey E. and Williams, Ronald J.},
          journal={Nature}, volume={323}, pages={533--536}, year={1986}}
    """

    name: ClassVar[str] = "bp"
    exact: ClassVar[bool] = True

    def compared(self, matrices: list[object]) -> list[object]:  # type: ignore[override]
        """None: no ``B_l`` sends anything."""
        return matrices[:0]
