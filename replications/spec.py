"""Experiments as data: ``replications/<paper>/experiments.yaml`` into one resolved spec per cell.

An experiment is a base ``spec``, ``arms`` (a rule or a named variant: what differs from the base) and
``presets`` (what a preset changes). A *cell* is one (experiment, arm) under one preset. Nothing here
imports jax, so that the workflow can plan in an instant.
"""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from replications.errors import UserError, nearest
from replications.schema import Strict, parse, read_yaml

HERE = Path(__file__).parent
PRESETS = ("quick", "paper")
# As much of the preset paper as was run once and accepted: tabulated, drawn and judged like a
# preset, beside every quick run (replications/accepted.py).
ACCEPTED = "accepted"
# Equal hidden layers beyond this number are compiled as one (``bioflax.Stack``).
DEEP = 8

Rule = Literal[
    "backprop",
    "feedback_alignment",
    "direct_feedback_alignment",
    "indirect_feedback_alignment",
    "kolen_pollack",
    "weight_mirror",
    "shallow",
    "node_perturbation",
]
Activation = Literal["linear", "tanh", "logistic", "relu"]
Measure = Literal[
    "train_loss",
    "train_error",
    "test_loss",
    "test_nse",
    "test_error",
    "delta_angle",
    "pseudo_angle",
    "weight_angle",
    "gap",
    "law_error",
    "weight",
    "invariant_drift",
    "features",
]


class Init(Strict):
    """How an array is drawn: ``zeros``, ``{uniform: a}`` (U[-a, a]), ``{normal: s}`` (N(0, s^2)),
    ``fan_in_uniform`` (U[-1/sqrt(fan_in), +], Torch's default), ``fan_sum_normal``
    (variance 1/(fan_in + fan_out)), ``receiver_uniform`` (U[-1/sqrt(n), +], n units that receive it),
    ``forward_weights`` (feedback that starts as the layer's own W), ``{constant: c}``, or
    ``{grid: h}`` (the seed picks a point of a 21 x 21 grid over [-h, h]^2)."""

    kind: Literal[
        "zeros",
        "uniform",
        "normal",
        "fan_in_uniform",
        "fan_sum_normal",
        "receiver_uniform",
        "forward_weights",
        "constant",
        "grid",
    ]
    value: float = 0.0

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"kind": data}
        if isinstance(data, dict) and len(data) == 1 and "kind" not in data:
            ((kind, value),) = data.items()
            return {"kind": kind, "value": float(value)}
        return data


class Teacher(Strict):
    """Examples ``x ~ N(0, I)`` labelled by a fixed random net; passed over once, in order."""

    inputs: int
    hidden: list[int] = []
    outputs: int
    activation: Activation = "linear"
    weights: Init = Init(kind="uniform", value=1.0)
    biases: Init = Init(kind="zeros")
    train: int
    test: int = 1000
    seed: int = 0


class Images(Strict):
    """An image data set, pixels scaled to [0, 1]."""

    name: Literal["mnist5k", "mnist", "cifar10", "cifar100"]
    whiten: bool = False
    shuffle: bool = True
    # Train on the first so many examples only.
    train: int | None = None


class Patterns(Strict):
    """A handful of given patterns, the same for training and test: ``x`` and ``y``, or an N-M-N encoder."""

    x: list[list[float]] = []
    y: list[list[float]] = []
    encoder: int = 0
    shuffle: bool = False

    @model_validator(mode="after")
    def _same_length(self) -> "Patterns":
        if len(self.x) != len(self.y) or bool(self.x) == bool(self.encoder):
            raise ValueError("patterns need x and y of one length, or encoder: N")
        return self


class Task(Strict):
    """Exactly one source of examples."""

    teacher: Teacher | None = None
    images: Images | None = None
    patterns: Patterns | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Task":
        if sum(v is not None for v in (self.teacher, self.images, self.patterns)) != 1:
            raise ValueError("a task is exactly one of teacher, images, patterns")
        return self


class Network(Strict):
    """A stack of hidden layers and a readout. ``convolutions`` stand before the hidden layers."""

    hidden: list[int] = []
    convolutions: list[int] = []
    activation: Activation = "tanh"
    output: Literal["linear", "logistic"] = "linear"
    bias: bool = True
    init: Init
    # The first layer's own, weights and biases, where it differs.
    first_init: Init | None = None
    # The readout's own scale, where it differs.
    readout_init: Init | None = None
    bias_init: Init = Init(kind="zeros")
    feedback_init: Init = Init(kind="fan_in_uniform")
    # Fraction of the readout's weights and of its feedback that is absent.
    sparsity: float = Field(default=0.0, ge=0.0, lt=1.0)
    dropout_input: float = Field(default=0.0, ge=0.0, lt=1.0)
    dropout_hidden: float = Field(default=0.0, ge=0.0, lt=1.0)

    @field_validator("hidden", mode="before")
    @classmethod
    def _layers_by_units(cls, hidden: Any) -> Any:
        """``7x240``, as the papers write it: seven layers of 240 units."""
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", hidden) if isinstance(hidden, str) else None
        return [int(match[2])] * int(match[1]) if match else hidden


class Sgd(Strict):
    learning_rate: float = Field(ge=0)
    momentum: float = 0.0
    bias_learning_rate: float | None = None

    @model_validator(mode="after")
    def _bias_beside_a_rate(self) -> "Sgd":
        if self.bias_learning_rate is not None and not self.learning_rate:
            raise ValueError("a bias_learning_rate needs a learning_rate above 0")
        return self


class Rmsprop(Strict):
    """torch.optim's: ``w -= lr g / (sqrt(m) + eps)``, ``m = decay m + (1 - decay) g^2`` from 0."""

    learning_rate: float = Field(ge=0)
    decay: float = 0.99
    eps: float = 1e-8


class Adam(Strict):
    learning_rate: float = Field(ge=0)
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8


class Optimizer(Strict):
    """Exactly one rule of update, and the decay of kernels (and learned feedback) beside it."""

    sgd: Sgd | None = None
    rmsprop: Rmsprop | None = None
    adam: Adam | None = None
    # W <- (1 - weight_decay) W + step: decoupled, a factor per update (not scaled by the rate).
    weight_decay: float = 0.0
    # Another decay for learned feedback: breaks Kolen-Pollack's law on purpose.
    feedback_weight_decay: float | None = None
    # Add the decay to the gradient (L2) instead: breaks the law under adaptive optimisers.
    coupled: bool = False
    # Halve the learning rate after every so many epochs. Absent, it is no part of a cell's digest:
    # results from before there was such a choice stay what they are.
    halve_every: int | None = Field(default=None, gt=0, exclude_if=lambda epochs: epochs is None)

    @model_validator(mode="after")
    def _exactly_one(self) -> "Optimizer":
        if sum(v is not None for v in (self.sgd, self.rmsprop, self.adam)) != 1:
            raise ValueError("an optimizer is exactly one of sgd, rmsprop, adam")
        return self


class Record(Strict):
    """When to measure: at the start and the end, ``at`` given updates, every ``every`` updates or
    every ``epochs`` epochs."""

    at: list[int] = []
    every: int | None = Field(default=None, gt=0)
    epochs: int | None = Field(default=None, gt=0)


class RunSpec(Strict):
    """Everything that decides a cell's numbers, seeds apart."""

    task: Task
    network: Network
    rule: Rule
    optimizer: Optimizer
    # Which error drives learning at a logistic output: y - y* itself (the gradient of the binary
    # cross-entropy), or (y - y*) y (1 - y) (the gradient of the squared error).
    output_error: Literal["raw", "mse"] = "raw"
    reduction: Literal["sum", "mean"] = "sum"
    batch: int = Field(default=1, gt=0)
    epochs: int = Field(default=1, gt=0)
    record: Record = Record()
    measures: list[Measure]
    # Held-out examples on which angles and features are measured.
    probe: int = Field(default=128, gt=0)
    # Standard deviation of the noise on hidden units in node perturbation.
    perturbation: float = 1e-3
    # Step of the weight mirror, taken after every update.
    mirror_rate: float = 0.1
    # Fast-sign adversarial training: the step on the input, 0 for none.
    adversarial: float = 0.0
    # The first hidden layer does not learn in the first so many epochs.
    frozen_epochs: int = Field(default=0, ge=0)
    # Stop once the moving average of the training error (3/4 old + 1/4 new, per epoch) is below.
    stop_below_train_error: float | None = None
    dtype: Literal["float32", "float64"] = "float32"
    seeds: int = Field(gt=0)

    @field_validator("measures")
    @classmethod
    def _no_repeats(cls, measures: list[str]) -> list[str]:
        if len(set(measures)) != len(measures):
            raise ValueError("a measure is named twice")
        return measures

    @model_validator(mode="after")
    def _feedback_has_forward_weights(self) -> "RunSpec":
        if self.network.feedback_init.kind == "forward_weights" and "direct" in self.rule:
            raise ValueError(
                f"network.feedback_init: {self.rule} has no forward_weights to start as"
            )
        return self

    @model_validator(mode="after")
    def _what_can_be_measured(self) -> "RunSpec":
        asked, depth = set(self.measures), len(self.network.hidden)
        layered = self.rule in ("feedback_alignment", "kolen_pollack", "weight_mirror")
        backward = asked & {"gap", "law_error", "pseudo_angle", "invariant_drift"}
        if "direct" not in self.rule:
            backward |= asked & {"weight_angle"}
        if backward and not layered:
            raise ValueError(f"measures: {self.rule} has no feedback for {min(backward)}")
        deep = asked & {"features", "gap", "law_error", "weight", "pseudo_angle", "invariant_drift"}
        if deep and depth > DEEP:
            raise ValueError(f"measures: {min(deep)} is of at most {DEEP} hidden layers")
        if "invariant_drift" in asked and depth != 1:
            raise ValueError("measures: invariant_drift is of nets with one hidden layer")
        return self

    @model_validator(mode="after")
    def _stops_by_epochs(self) -> "RunSpec":
        if self.stop_below_train_error is not None and self.record != Record(epochs=1):
            raise ValueError("stop_below_train_error needs record: {epochs: 1}")
        return self


class Cell(NamedTuple):
    """One (experiment, arm) of a paper under a preset, resolved."""

    paper: str
    experiment: str
    arm: str
    preset: str
    spec: RunSpec

    @property
    def name(self) -> str:
        return f"{self.paper}/{self.experiment}/{self.arm}"

    @property
    def dataset(self) -> str | None:
        """The image data set that the cell needs, if any."""
        return self.spec.task.images.name if self.spec.task.images else None

    @property
    def digest(self) -> str:
        """Sha256 of the resolved spec, seeds apart: it changes when any number of a run may."""
        text = json.dumps(self.spec.model_dump(exclude={"seeds"}), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Experiment(Strict):
    title: str
    place: str
    spec: dict[str, Any]
    arms: dict[str, dict[str, Any] | None]
    presets: dict[Literal["quick", "paper"], dict[str, Any] | None]

    @field_validator("arms")
    @classmethod
    def _presets_of_arms(cls, arms: dict[str, Any]) -> dict[str, Any]:
        """What an arm changes under a preset is a part of it like the experiment's own."""
        for arm, own in arms.items():
            presets = (own or {}).get("presets", {})
            if not isinstance(presets, dict):
                raise ValueError(f"{arm}: presets: {presets!r} is wrong: give a mapping")
            for name, changed in presets.items():
                if name not in PRESETS:
                    raise ValueError(f"{arm}: unknown preset {name!r}; {nearest(name, PRESETS)}")
                if not isinstance(changed, dict | None):
                    raise ValueError(
                        f"{arm}: presets: {name}: {changed!r} is wrong: give a mapping"
                    )
        return arms


class Paper(Strict):
    title: str
    reference: str
    experiments: dict[str, Experiment]


def papers(folder: Path = HERE) -> list[str]:
    """Names of the papers: the folders that hold an ``experiments.yaml``."""
    return sorted(path.parent.name for path in folder.glob("*/experiments.yaml"))


@cache
def load(paper: str, folder: Path = HERE) -> Paper:
    """A paper's experiments. Raises UserError for an unknown paper or a bad file."""
    known = papers(folder)
    if paper not in known:
        raise UserError(f"unknown paper {paper!r}; {nearest(paper, known)}")
    file = folder / paper / "experiments.yaml"
    return parse(Paper, read_yaml(file), _short(file))


def cells(paper: str, preset: str, folder: Path = HERE) -> list[Cell]:
    """All cells of a paper under ``preset``, in the order of the file. Raises UserError."""
    return [
        cell(paper, experiment, arm, preset, folder)
        for experiment, content in load(paper, folder).experiments.items()
        if preset in content.presets
        for arm in content.arms
    ]


def cells_of(paper: str, experiment: str, preset: str, folder: Path = HERE) -> list[Cell]:
    """The cells of one experiment under ``preset``. Raises UserError where it has none."""
    found = [c for c in cells(paper, preset, folder) if c.experiment == experiment]
    if not found:
        raise UserError(f"{paper}: no experiment {experiment!r} in preset {preset!r}")
    return found


def cell(paper: str, experiment: str, arm: str, preset: str, folder: Path = HERE) -> Cell:
    """One cell, resolved: spec <- preset <- arm <- the arm's own preset. Raises UserError."""
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; {nearest(preset, PRESETS)}")
    known = load(paper, folder).experiments
    if experiment not in known:
        raise UserError(f"{paper}: unknown experiment {experiment!r}; {nearest(experiment, known)}")
    content = known[experiment]
    if arm not in content.arms:
        raise UserError(f"{paper}/{experiment}: unknown arm {arm!r}; {nearest(arm, content.arms)}")
    if preset not in content.presets:
        raise UserError(f"{paper}/{experiment} has no preset {preset!r}")
    own = dict(content.arms[arm] or {})
    own_presets = own.pop("presets", {})
    merged = _merge(content.spec, content.presets[preset] or {})
    merged = _merge(_merge(merged, own), own_presets.get(preset) or {})
    where = f"{_short(folder / paper / 'experiments.yaml')}: {experiment}/{arm} ({preset})"
    return Cell(paper, experiment, arm, preset, parse(RunSpec, merged, where))


def protocol(view: str) -> str:
    """The preset whose specs and claims hold for a folder of results."""
    return "paper" if view == ACCEPTED else view


def experiments(paper: str, view: str, folder: Path = HERE) -> list[str]:
    """The experiments of a paper that a preset has cells of, or that there are at full scale."""
    if view == ACCEPTED:
        return accepted(paper, folder)
    return list(dict.fromkeys(cell.experiment for cell in cells(paper, view, folder)))


def also_quick(paper: str, experiment: str, folder: Path = HERE) -> bool:
    """Whether the preset quick runs an experiment of the preset paper as it is, seeds included."""
    if not {"quick", "paper"} <= load(paper, folder).experiments[experiment].presets.keys():
        return False
    quick, full = (
        [c.spec for c in cells_of(paper, experiment, preset, folder)] for preset in PRESETS
    )
    return quick == full


def kept(paper: str, folder: Path = HERE) -> list[str]:
    """The experiments of the preset paper whose results are kept as accepted."""
    home = folder / paper / "baselines" / "paper"
    names = load(paper, folder).experiments
    return [name for name in names if (home / f"{name}.runs.csv").is_file()]


def accepted(paper: str, folder: Path = HERE) -> list[str]:
    """The experiments of a paper at full scale: those kept, and those that quick runs as they are.

    None for a paper of which nothing was ever accepted.
    """
    if not (folder / paper / "baselines" / "paper").is_dir():
        return []
    full = set(kept(paper, folder))
    return [n for n in load(paper, folder).experiments if n in full or also_quick(paper, n, folder)]


def _short(file: Path) -> str:
    return f"replications/{file.parent.name}/{file.name}"


# Choices of one among several: naming another one replaces the base's, it does not join it.
_CHOICES = {
    "task", "init", "first_init", "readout_init", "bias_init", "feedback_init", "record"
}  # fmt: skip
_OPTIMIZERS = {"sgd", "rmsprop", "adam"}


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    if _OPTIMIZERS & over.keys():
        merged = {k: v for k, v in merged.items() if k not in _OPTIMIZERS - over.keys()}
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            same = key not in _CHOICES or old.keys() == value.keys()
            merged[key] = _merge(old, value) if same else value
        else:
            merged[key] = value
    return merged
