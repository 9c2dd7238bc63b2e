"""The measures that a spec may name: what each needs, how it is averaged, how it is written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure. The function of the same name in ``training.measures`` takes it.

    Attributes:
      label, unit: in pictures and tables.
      resolution: what one run may differ by without meaning anything; of logarithms, in decades.
      relative: the resolution is a fraction of the number, where that is above 1.
      logarithmic: it falls over decades, and is averaged as a logarithm.
      of_layers: it has a number for every layer.
      feedback: it is about backward weights, which every layer must have.
      direct: it is about backward weights, and those of direct feedback will do as well.
      shallow_nets: it is of nets whose layers are not compiled as one.
      one_hidden: it is of nets with one hidden layer.
      scalar: one number a record; else an array, which no table of records has.
      spiking: it is of spiking nets alone; False: of all others; None: of both.
    """

    label: str
    unit: str = ""
    resolution: float = 1e-3
    relative: bool = False
    logarithmic: bool = False
    of_layers: bool = False
    feedback: bool = False
    direct: bool = False
    shallow_nets: bool = False
    one_hidden: bool = False
    scalar: bool = True
    spiking: bool | None = False


_DECADES = 0.02
# 5 of 1,000 test digits; half a degree.
_DIGITS, _DEGREES = 0.005, 0.5

# Hidden units that are measured one by one.
UNITS = 10
# Measures of the hidden layers alone, of those that have a number for every layer.
OF_HIDDEN = ("pseudo_angle", "activity_cosine")

MEASURES: dict[str, Measure] = {
    "train_loss": Measure("training loss", resolution=_DECADES, logarithmic=True, spiking=None),
    # Of a spiking net as it learns, in every step: by the last one it knows the image's class.
    "train_error": Measure("training error", "%", _DIGITS, spiking=None),
    "test_loss": Measure("test loss", resolution=_DECADES, logarithmic=True),
    "test_nse": Measure("test error", "NSE", _DECADES, logarithmic=True),
    "test_nse_variance": Measure("test error", "NSE by variance", _DECADES, logarithmic=True),
    "test_error": Measure("test error", "%", _DIGITS, spiking=None),
    "delta_angle": Measure("angle of the error signals to backprop", "°", _DEGREES, of_layers=True),
    "pseudo_angle": Measure(
        "angle of the error signals to pseudo-backprop",
        "°",
        _DEGREES,
        of_layers=True,
        feedback=True,
        shallow_nets=True,
    ),
    "weight_angle": Measure(
        "angle between W and B", "°", _DEGREES, of_layers=True, feedback=True, direct=True
    ),
    # Of ten hidden units, each on its own: the weights out of it, and the feedback to it.
    "unit_angle": Measure(
        "angle between W and B of single units",
        "°",
        _DEGREES,
        of_layers=True,
        feedback=True,
        shallow_nets=True,
    ),
    # Of two examples, on average: at 1 the units do not depend on the input.
    "activity_cosine": Measure(
        "cosine between examples' activities", resolution=0.02, of_layers=True, shallow_nets=True
    ),
    "gap": Measure(
        "|W - B|",
        resolution=_DECADES,
        logarithmic=True,
        of_layers=True,
        feedback=True,
        shallow_nets=True,
    ),
    "law_error": Measure(
        "distance to the law", resolution=1e-10, of_layers=True, feedback=True, shallow_nets=True
    ),
    "weight": Measure("weight", relative=True, of_layers=True, shallow_nets=True),
    "invariant_drift": Measure(
        "drift of the invariant",
        resolution=_DECADES,
        logarithmic=True,
        feedback=True,
        shallow_nets=True,
        one_hidden=True,
    ),
    "traces": Measure("spikes, potential, signal", of_layers=True, scalar=False, spiking=True),
    "fields": Measure("receptive fields", of_layers=True, shallow_nets=True, scalar=False),
    "features": Measure("hidden features", of_layers=True, shallow_nets=True, scalar=False),
}
