"""What a paper gives in numbers, as data: ``replications/<paper>/published.yaml``. Each stands there once."""

from collections.abc import Mapping
from math import log10
from typing import Literal

from pydantic import Field, FiniteFloat, model_validator

from replications.harness.declared.reading import Strict, parse, read_yaml
from replications.harness.errors import UserError
from replications.harness.store import Store

# How sure a number is, from the surest to the least sure.
Certainty = Literal["A", "A-ab", "B", "C+", "C", "OWN", "INF"]
CERTAINTIES: dict[Certainty, str] = {
    "A": "from the paper's own text or figure, or from its author's own code or log",
    "A-ab": "from its abstract",
    "B": "from a third party's report",
    "C+": "recollected, and supported by one of these",
    "C": "recollected, not confirmed against the paper",
    "OWN": "a check of this project's",
    "INF": "an inference",
}


class Published(Strict):
    """A number that a paper gives: where it stands there, and how sure it is.

    ``measure`` is ``name`` or ``name/layer``, and ``@n`` after it says after how many updates, where
    that is not at the end. Without a ``value`` the paper says that training did not converge.
    """

    experiment: str
    arm: str
    measure: str
    value: FiniteFloat | None = None
    unit: str
    at: str
    certainty: Certainty
    place: str
    source: str
    n: int | None = Field(default=None, gt=0)
    sd: FiniteFloat | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _a_number_or_none(self) -> "Published":
        if self.value is None and self.sd is not None:
            raise ValueError("sd: a spread needs a value")
        return self

    @property
    def table(self) -> str:
        """The table or figure that it stands in: ``Table 1`` of ``Table 1, row 4``."""
        return self.place.partition(",")[0]

    @property
    def number(self) -> float:
        """The value, of a number that there is. Raises UserError where training did not converge."""
        if self.value is None:
            raise UserError(f"{self.experiment}/{self.arm}: the paper gives no {self.measure}")
        return self.value

    @property
    def plain(self) -> float | None:
        """The number in the unit of our tables: a fraction for %, no logarithm."""
        if self.value is None:
            return None
        if self.unit == "%":
            return self.value / 100
        return 10**self.value if self.unit.startswith("log10") else self.value

    def scaled(self, scale: str) -> float | None:
        """The number on the scale of a claim: plain, log10, percent or accuracy."""
        if self.plain is None:
            return None
        if scale == "percent":
            # Not by way of a fraction, which would cost the last digit.
            return self.value if self.unit == "%" else 100 * self.plain
        if scale == "log10":
            return self.value if self.unit.startswith("log10") else log10(self.plain)
        return 1 - self.plain if scale == "accuracy" else self.plain

    def __str__(self) -> str:
        if self.value is None:
            return "no convergence"
        spread = "" if self.sd is None else f" ± {self.sd:g}"
        unit = {"%": " %", "°": "°", "log10 NSE": ""}.get(self.unit, f" {self.unit}")
        number = f"10^{self.value:g}" if self.unit.startswith("log10") else f"{self.value:g}"
        return f"{number}{spread}{unit}"


Numbers = Mapping[tuple[str, str, str], Published]


def read_published(paper: str, store: Store = Store()) -> dict[tuple[str, str, str], Published]:
    """The published numbers of a paper by (experiment, arm, measure); none where it has no file.

    Raises UserError for a bad file, and for one number that stands twice.
    """
    path = store.published(paper)
    rows = read_yaml(path) if path.is_file() else []
    where = f"replications/{paper}/{path.name}"
    if not isinstance(rows, list):
        raise UserError(f"{where}: a list of numbers is wanted, not {type(rows).__name__}")
    numbers = {}
    for i, row in enumerate(rows, 1):
        number = parse(Published, row, f"{where}: entry {i}")
        key = (number.experiment, number.arm, number.measure)
        if key in numbers:
            raise UserError(f"{where}: entry {i}: {'/'.join(key)} stands twice")
        numbers[key] = number
    return numbers
