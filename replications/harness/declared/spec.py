"""What a spec may say: everything that decides a cell's numbers.

Nothing here imports jax, so that the workflow can plan in an instant.
"""

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, FiniteFloat, field_validator, model_validator

from replications.harness.catalogue.datasets import DATASETS
from replications.harness.catalogue.measures import MEASURES, OF_HIDDEN, UNITS
from replications.harness.catalogue.rules import DEEP, RULES
from replications.harness.catalogue.starts import STARTS
from replications.harness.declared.reading import Strict, shown
from replications.harness.errors import nearest

Activation = Literal["linear", "tanh", "logistic", "relu"]
# The most that JAX counts, of examples and of updates. Then the most units of a layer, layers, seeds,
# records: far beyond what anybody runs, near enough to catch a slip.
COUNTED = 2**31 - 1
WIDEST, DEEPEST, SEEDS, RECORDS = 1_000_000, 10_000, 1_000_000, 1_000_000
Count = Annotated[int, Field(gt=0, le=COUNTED)]
Width = Annotated[int, Field(gt=0, le=WIDEST)]
Layers = Annotated[list[Width], Field(max_length=DEEPEST)]
# The number of a stream of random numbers.
Stream = Annotated[int, Field(ge=0, lt=2**32)]
Rate = Annotated[FiniteFloat, Field(ge=0)]
Damping = Annotated[FiniteFloat, Field(gt=0)]
# Of an average that forgets.
Decay = Annotated[FiniteFloat, Field(ge=0, lt=1)]


def _among(known: Mapping[str, Any]) -> AfterValidator:
    """The names of a catalogue, and no others."""

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"unknown value {shown(name)}; {nearest(name, known)}")
        return name

    return AfterValidator(check)


def _listed(known: Mapping[str, Any]) -> Any:
    """The same for editors, which read the exported schema."""
    return Field(json_schema_extra={"enum": list(known)})


RuleName = Annotated[str, _among(RULES), _listed(RULES)]
MeasureName = Annotated[str, _among(MEASURES), _listed(MEASURES)]
StartName = Annotated[str, _among(STARTS), _listed(STARTS)]
DatasetName = Annotated[str, _among(DATASETS), _listed(DATASETS)]


class Init(Strict):
    """How an array is drawn, as the catalogue has it: ``zeros``, ``{uniform: a}`` (U[-a, a]), ``{normal: s}``
    (N(0, s^2)), ``fan_in_uniform`` (U[-1/sqrt(fan_in), +], Torch's default), ``fan_in_normal``
    (variance 2/fan_in, He's), ``fan_sum_normal`` (variance 1/(fan_in + fan_out)), ``fan_sum_uniform``
    (variance 2/(fan_in + fan_out), Glorot's), ``receiver_uniform`` (U[-1/sqrt(n), +], n units that
    receive it), ``forward_weights`` (feedback that starts as the layer's own W), ``{constant: c}``, or
    ``{grid: h}`` (the seed picks a point of a 21 x 21 grid over [-h, h]^2)."""

    kind: StartName
    value: FiniteFloat = 0.0

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"kind": data}
        if isinstance(data, dict) and len(data) == 1 and "kind" not in data:
            ((kind, value),) = data.items()
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return {"kind": kind, "value": float(value) if number else value}
        return data

    @model_validator(mode="after")
    def _value_where_it_is_needed(self) -> "Init":
        needed = STARTS[self.kind].needs_value
        if needed != ("value" in self.model_fields_set):
            form = f"{{{self.kind}: NUMBER}}" if needed else self.kind
            raise ValueError(f"{self.kind} is written {form}")
        if self.kind in ("uniform", "normal", "grid") and self.value < 0:
            raise ValueError(f"{self.kind}: {self.value:g} is below 0")
        return self


class Teacher(Strict):
    """Examples ``x ~ N(0, I)`` labelled by a fixed random net; passed over once, in order."""

    inputs: Width
    hidden: Layers = []
    outputs: Width
    activation: Activation = "linear"
    weights: Init = Init(kind="uniform", value=1.0)
    biases: Init = Init(kind="zeros")
    train: Count
    test: Count = 1000
    seed: Stream = 0


class Images(Strict):
    """An image data set, pixels scaled to [0, 1]."""

    name: DatasetName
    whiten: bool = False
    shuffle: bool = True
    # Train on the first so many examples only.
    train: Count | None = None

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> "Images":
        there = DATASETS[self.name].train
        if self.train is not None and self.train > there:
            raise ValueError(f"train: {self.name} has {there} examples, not {self.train}")
        return self


class Patterns(Strict):
    """A handful of given patterns, the same for training and test: ``x`` and ``y``, or an N-M-N encoder."""

    x: list[list[FiniteFloat]] = []
    y: list[list[FiniteFloat]] = []
    encoder: int = Field(default=0, ge=0, le=DEEPEST)
    shuffle: bool = False

    @model_validator(mode="after")
    def _same_length(self) -> "Patterns":
        if len(self.x) != len(self.y) or bool(self.x) == bool(self.encoder):
            raise ValueError("patterns need x and y of one length, or encoder: N")
        for name, rows in (("x", self.x), ("y", self.y)):
            if any(len(a) != len(b) for a, b in pairwise(rows)) or [] in rows:
                raise ValueError(f"{name}: patterns are rows of one length")
        return self


class Quadratic(Strict):
    """Examples ``x ~ U[-bound, bound]`` with targets ``y_k = x' Q_k x``, ``Q ~ U[-weights, weights]`` drawn
    once; passed over once, in order (Lillicrap et al. 2016, Fig. 5)."""

    inputs: Width
    outputs: Width
    bound: Rate = 2.0
    weights: Rate = 0.5
    train: Count
    test: Count = 1000
    seed: Stream = 0


class Task(Strict):
    """Exactly one source of examples."""

    teacher: Teacher | None = None
    images: Images | None = None
    patterns: Patterns | None = None
    # Absent, it is no part of a cell's digest, like every later choice in this module.
    quadratic: Quadratic | None = Field(default=None, exclude_if=lambda task: task is None)

    @model_validator(mode="after")
    def _exactly_one(self) -> "Task":
        given = (self.teacher, self.images, self.patterns, self.quadratic)
        if sum(v is not None for v in given) != 1:
            raise ValueError("a task is exactly one of teacher, images, patterns, quadratic")
        return self


class Size(NamedTuple):
    """How many examples, of which shape, with how many targets."""

    train: int
    test: int
    inputs: tuple[int, ...]
    outputs: int


class Network(Strict):
    """A stack of hidden layers and a readout. ``convolutions`` stand before the hidden layers."""

    hidden: Layers = []
    convolutions: Layers = []
    activation: Activation = "tanh"
    output: Literal["linear", "logistic", "softmax"] = "linear"
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
        if match is None:
            return hidden
        if len(match[1]) > len(str(DEEPEST)) or len(match[2]) > len(str(WIDEST)):
            raise ValueError(f"at most {DEEPEST} layers of {WIDEST} units")
        return [int(match[2])] * int(match[1])


class Sgd(Strict):
    learning_rate: Rate
    momentum: Decay = 0.0
    bias_learning_rate: Rate | None = None

    @model_validator(mode="after")
    def _bias_beside_a_rate(self) -> "Sgd":
        if self.bias_learning_rate is not None and not self.learning_rate:
            raise ValueError("a bias_learning_rate needs a learning_rate above 0")
        return self


class Rmsprop(Strict):
    """torch.optim's: ``w -= lr g / (sqrt(m) + eps)``, ``m = decay m + (1 - decay) g^2`` from 0."""

    learning_rate: Rate
    decay: Decay = 0.99
    eps: Rate = 1e-8


class Adam(Strict):
    learning_rate: Rate
    b1: Decay = 0.9
    b2: Decay = 0.999
    eps: Rate = 1e-8


class Optimizer(Strict):
    """Exactly one rule of update, and the decay of kernels (and learned feedback) beside it."""

    sgd: Sgd | None = None
    rmsprop: Rmsprop | None = None
    adam: Adam | None = None
    # W <- (1 - weight_decay) W + step: decoupled, a factor per update (not scaled by the rate).
    weight_decay: Rate = 0.0
    # Another decay for learned feedback: breaks Kolen-Pollack's law on purpose.
    feedback_weight_decay: Rate | None = None
    # Add the decay to the gradient (L2) instead: breaks the law under adaptive optimisers.
    coupled: bool = False
    # Halve the learning rate after every so many epochs. Absent, it is no part of a cell's digest:
    # results from before there was such a choice stay what they are.
    halve_every: Count | None = Field(default=None, exclude_if=lambda epochs: epochs is None)

    @model_validator(mode="after")
    def _exactly_one(self) -> "Optimizer":
        if sum(v is not None for v in (self.sgd, self.rmsprop, self.adam)) != 1:
            raise ValueError("an optimizer is exactly one of sgd, rmsprop, adam")
        return self


class Record(Strict):
    """When to measure: at the start and the end, ``at`` given updates, every ``every`` updates or
    every ``epochs`` epochs."""

    at: list[Annotated[int, Field(ge=0, le=COUNTED)]] = []
    every: Count | None = None
    epochs: Count | None = None

    def period(self, steps_per_epoch: int) -> int:
        """Updates from one regular record to the next; 0 where there is none."""
        return self.every or (self.epochs or 0) * steps_per_epoch


class Frozen(Strict):
    """Layers that do not learn from one update to another; their weights do not decay either.

    ``layers``: ``hidden_1`` ... or ``readout``. ``to_step``: the first update in which they learn again; the
    end where none is given.
    """

    layers: list[str] = Field(min_length=1)
    from_step: int = Field(default=0, ge=0, le=COUNTED)
    to_step: Count | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> "Frozen":
        if self.to_step is not None and self.to_step <= self.from_step:
            raise ValueError("to_step comes after from_step")
        return self


class Spiking(Strict):
    """A net of stochastic binary units whose error travels down while spikes travel up (Lillicrap et al.
    2016, Fig. 4): what ``replications.harness.training.spiking`` needs beside the network's scales and the rate.

    ``group``: output units of a class. ``steps``: time steps that an image is shown. ``tau``: how far a unit
    goes to its input in a step. ``slope``: of ``f_d``, tanh(slope U). ``brightest``: the largest
    probability of an input spike. ``traced``: time steps that an image is shown while ``traces`` are taken.
    """

    group: Width = 100
    steps: Width = 5
    tau: float = Field(default=0.9, gt=0, le=1)
    slope: FiniteFloat = Field(default=1.0, gt=0)
    brightest: float = Field(default=0.95, gt=0, le=1)
    traced: Width = 50


class RunSpec(Strict):
    """Everything that decides a cell's numbers, seeds apart."""

    task: Task
    network: Network
    rule: RuleName
    optimizer: Optimizer
    # Which error drives learning at a logistic output: y - y* itself (the gradient of the binary
    # cross-entropy), or (y - y*) y (1 - y) (the gradient of the squared error). ``printed`` is mse but for the
    # feedback path of the readout, which sends y - y* itself (Lillicrap et al. 2016, Methods).
    output_error: Literal["raw", "mse", "printed"] = "raw"
    reduction: Literal["sum", "mean"] = "sum"
    batch: Count = 1
    # Of batches of one example: the first layer's weights are read and written once for so many updates, which
    # is the same training but for rounding, in half the time (training.blocked).
    block: int | None = Field(default=None, gt=1, le=1000, exclude_if=lambda size: size is None)
    epochs: Count = 1
    # What is left of a pass for less than a batch is not used.
    drop_last: bool = Field(default=False, exclude_if=lambda drops: not drops)
    record: Record = Record()
    measures: list[MeasureName]
    # Held-out examples on which angles and features are measured.
    probe: Count = 128
    # Standard deviation of the noise on hidden units in node perturbation.
    perturbation: FiniteFloat = Field(default=1e-3, gt=0)
    # Step of the weight mirror, taken after every update.
    mirror_rate: Rate = 0.1
    # Its noise vectors in a step; its form (see bioflax.WeightMirror); its steps before the first update.
    mirror_samples: int = Field(
        default=64, gt=0, le=COUNTED, exclude_if=lambda samples: samples == 64
    )
    mirror_form: Literal["paper", "code"] = Field(
        default="paper", exclude_if=lambda form: form == "paper"
    )
    mirror_first: int = Field(default=0, ge=0, le=COUNTED, exclude_if=lambda steps: not steps)
    # Of rules that divide hidden layers' gradients by the moments of a batch (see bioflax.Conditioned):
    # dampings; a moment that has none is left out.
    activity_damping: Damping | None = Field(
        default=None, exclude_if=lambda damping: damping is None
    )
    error_damping: Damping | None = Field(default=None, exclude_if=lambda damping: damping is None)
    # Fast-sign adversarial training: the step on the input, 0 for none.
    adversarial: Rate = 0.0
    # The first hidden layer does not learn in the first so many epochs.
    frozen_epochs: int = Field(default=0, ge=0, le=COUNTED)
    # Layers that do not learn for a while.
    frozen: list[Frozen] = Field(default=[], exclude_if=lambda phases: not phases)
    # The net spikes. A spec of such a net says nothing that its program does not know: see below.
    spiking: Spiking | None = Field(default=None, exclude_if=lambda block: block is None)
    # Stop once the moving average of the training error (3/4 old + 1/4 new, per epoch) is below.
    stop_below_train_error: FiniteFloat | None = None
    dtype: Literal["float32", "float64"] = "float32"
    seeds: int = Field(gt=0, le=SEEDS)

    @property
    def size(self) -> Size:
        """How many examples, and of which shape, it trains on."""
        if images := self.task.images:
            source = DATASETS[images.name]
            flat = source.image if self.network.convolutions else (math.prod(source.image),)
            return Size(images.train or source.train, source.test, flat, source.classes)
        if drawn := self.task.teacher or self.task.quadratic:
            return Size(drawn.train, drawn.test, (drawn.inputs,), drawn.outputs)
        patterns = self.task.patterns
        assert patterns is not None
        if n := patterns.encoder:
            return Size(n, n, (n,), n)
        rows = len(patterns.x)
        return Size(rows, rows, (len(patterns.x[0]),), len(patterns.y[0]))

    @property
    def steps_per_epoch(self) -> int:
        """Updates of one pass."""
        return self.updates_per_pass(self.size.train)

    @property
    def steps(self) -> int:
        """Updates of the whole run."""
        return self.steps_per_epoch * self.epochs

    def is_recorded(self, step: int) -> bool:
        """Whether a record is taken after this update."""
        every = self.record.period(self.steps_per_epoch)
        return step in (0, self.steps, *self.record.at) or (
            bool(every) and step % every == 0 and step <= self.steps
        )

    def layers_of(self, measure: str) -> list[str]:
        """The layers of which a measure has a number; of one that is of the whole net, ``""``."""
        if not MEASURES[measure].of_layers:
            return [""]
        if measure == "unit_angle":
            return [f"unit_{i + 1}" for i in range(min(UNITS, self.network.hidden[-1]))]
        count = len(self.network.convolutions) + len(self.network.hidden)
        hidden = [f"hidden_{i + 1}" for i in range(count)]
        return hidden if measure in OF_HIDDEN else [*hidden, "readout"]

    @model_validator(mode="after")
    def _updates_can_be_counted(self) -> "RunSpec":
        if self.steps > COUNTED:
            raise ValueError(f"epochs: {self.steps} updates are more than {COUNTED}")
        late = [step for step in self.record.at if step > self.steps]
        if late:
            raise ValueError(
                f"record.at: {late[0]} is not among the {self.steps} updates of the run"
            )
        every = self.record.period(self.steps_per_epoch) or self.steps
        if self.steps // every > RECORDS:
            raise ValueError(f"record: {self.steps // every} records are more than {RECORDS}")
        return self

    @model_validator(mode="after")
    def _net_fits_its_task(self) -> "RunSpec":
        net, size = self.network, self.size
        side = size.inputs[0] if len(size.inputs) == 3 else 0
        for _ in net.convolutions:
            side = (side - 3) // 2 + 1
            if side < 1:
                raise ValueError(
                    f"network.convolutions: {len(net.convolutions)} are too many for inputs of shape "
                    f"{size.inputs}; each needs images with colours, and halves them"
                )
        kinds = {"network.init": net.init, "network.first_init": net.first_init,
                 "network.readout_init": net.readout_init, "network.bias_init": net.bias_init,
                 "network.feedback_init": net.feedback_init}  # fmt: skip
        if self.task.teacher:
            kinds |= {"task.teacher.weights": self.task.teacher.weights,
                      "task.teacher.biases": self.task.teacher.biases}  # fmt: skip
        for key, init in kinds.items():
            own = {"grid": "network.init", "forward_weights": "network.feedback_init"}
            if init is not None and own.get(init.kind, key) != key:
                raise ValueError(f"{key}: {init.kind} is of {own[init.kind]} alone")
        if net.init.kind == "grid" and (
            [*size.inputs, *net.hidden, size.outputs] != [1, 1, 1] or self.rule == "shallow"
        ):
            raise ValueError(
                "network.init: grid is of a net of one input, one hidden unit, one output"
            )
        return self

    def updates_per_pass(self, examples: int) -> int:
        """The number of updates of one pass through so many examples."""
        batch = min(self.batch, examples)
        return examples // batch if self.drop_last else -(-examples // batch)

    @field_validator("measures")
    @classmethod
    def _no_repeats(cls, measures: list[str]) -> list[str]:
        if len(set(measures)) != len(measures):
            raise ValueError("a measure is named twice")
        return measures

    @model_validator(mode="after")
    def _feedback_has_forward_weights(self) -> "RunSpec":
        if self.network.feedback_init.kind == "forward_weights" and RULES[self.rule].direct:
            raise ValueError(
                f"network.feedback_init: {self.rule} has no forward_weights to start as"
            )
        return self

    @model_validator(mode="after")
    def _mirrors(self) -> "RunSpec":
        if self.mirror_first and RULES[self.rule].after_update is None:
            raise ValueError(f"mirror_first: {self.rule} has no mirror")
        return self

    @model_validator(mode="after")
    def _conditions(self) -> "RunSpec":
        given = self.activity_damping is not None or self.error_damping is not None
        if given != ("activity_damping" in RULES[self.rule].options.values()):
            what = "has no use for" if given else "needs one of"
            raise ValueError(f"activity_damping, error_damping: {self.rule} {what} them")
        return self

    @model_validator(mode="after")
    def _what_can_be_measured(self) -> "RunSpec":
        rule, depth = RULES[self.rule], len(self.network.hidden)
        for name in sorted(self.measures):
            measure = MEASURES[name]
            has_feedback = rule.feedback or (measure.direct and rule.direct is not None)
            if measure.feedback and not has_feedback:
                raise ValueError(f"measures: {self.rule} has no feedback for {name}")
            if measure.shallow_nets and depth > DEEP:
                raise ValueError(f"measures: {name} is of at most {DEEP} hidden layers")
            if measure.one_hidden and depth != 1:
                raise ValueError(f"measures: {name} is of nets with one hidden layer")
        return self

    @model_validator(mode="after")
    def _printed_error_has_a_path(self) -> "RunSpec":
        known = ("backprop", "feedback_alignment", "shallow")
        if self.output_error == "printed" and self.rule not in known:
            raise ValueError(f"output_error: printed is of {', '.join(known)}, not of {self.rule}")
        return self

    @model_validator(mode="after")
    def _block_of_plain_updates(self) -> "RunSpec":
        """What the first layer may be, and how it may learn, for its updates to be put off."""
        net, sgd = self.network, self.optimizer.sgd
        known = ("backprop", "feedback_alignment", "shallow")
        wanted = {
            "batch: 1": self.batch == 1,
            f"a rule of {', '.join(known)}": self.rule in known,
            "sgd without momentum": sgd is not None and not sgd.momentum,
            "no halve_every": self.optimizer.halve_every is None,
            "hidden layers": bool(net.hidden) and len(net.hidden) <= DEEP,
            "no convolutions": not net.convolutions,
            "no dropout of inputs": not net.dropout_input,
            "no frozen layers": not self.frozen and not self.frozen_epochs,
            "adversarial: 0": not self.adversarial,
            "no spiking": self.spiking is None,
        }
        missing = [text for text, there in wanted.items() if not there]
        if self.block and missing:
            raise ValueError(f"block: needs {missing[0]}")
        return self

    @model_validator(mode="after")
    def _softmax_has_one_error(self) -> "RunSpec":
        if self.network.output == "softmax" and self.output_error != "raw":
            raise ValueError(
                f"output_error: {self.output_error} is of logistic outputs, not of softmax"
            )
        return self

    @model_validator(mode="after")
    def _frozen_layers_exist(self) -> "RunSpec":
        net = self.network
        layers = len(net.convolutions) + len(net.hidden)
        known = [*(f"hidden_{i}" for i in range(1, layers + 1)), "readout"]
        for name in (name for phase in self.frozen for name in phase.layers):
            if name not in known:
                raise ValueError(f"frozen: unknown layer {name!r}; {nearest(name, known)}")
        if self.frozen and layers > DEEP:
            raise ValueError(f"frozen: is of nets of at most {DEEP} hidden layers")
        return self

    @model_validator(mode="after")
    def _spiking_nets(self) -> "RunSpec":
        for name in self.measures:
            if (
                MEASURES[name].spiking != (self.spiking is not None)
                and MEASURES[name].spiking is not None
            ):
                raise ValueError(
                    f"measures: {name} is {'' if MEASURES[name].spiking else 'not '}of spiking nets"
                )
        if self.spiking is None:
            return self
        net, uniform = self.network, {"uniform", "zeros"}
        wrong = {
            "task": self.task.images is None,
            "rule": self.rule not in ("feedback_alignment", "shallow"),
            "network": not net.hidden or bool(net.convolutions) or net.bias_init.kind != "zeros",
            "network.init": {net.init.kind, net.feedback_init.kind} - uniform,
            "optimizer": self.optimizer.sgd is None or self.optimizer.coupled,
            "batch": self.batch != 1,
            "frozen": bool(self.frozen) or bool(self.frozen_epochs),
        }
        if said := [key for key, is_wrong in wrong.items() if is_wrong]:
            raise ValueError(
                f"spiking: {said[0]}: a spiking net has images, hidden layers, uniform weights, biases from "
                "0, plain sgd, one image at a time, and learns by feedback_alignment or shallow"
            )
        return self

    @model_validator(mode="after")
    def _stops_by_epochs(self) -> "RunSpec":
        if self.stop_below_train_error is not None and self.record != Record(epochs=1):
            raise ValueError("stop_below_train_error needs record: {epochs: 1}")
        return self
