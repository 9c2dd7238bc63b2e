"""Experiments as data: ``replications/<paper>/experiments.yaml`` into one resolved spec per cell.

An experiment is a base ``spec``, ``arms`` (a rule or a named variant: what differs from the base) and
``presets`` (what a preset changes: ``quick``, minutes on a laptop, and ``full``, the paper's own
scale). A *cell* is one (experiment, arm) under one preset.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

from pydantic import field_validator

from replications.harness.declared.reading import Strict, check_name, parse, read_yaml
from replications.harness.declared.spec import RunSpec
from replications.harness.errors import UserError, nearest
from replications.harness.store import PRESETS, Store


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
    def key(self) -> str:
        """Its name within the paper."""
        return f"{self.experiment}/{self.arm}"

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
    """A base spec, what its arms and presets change, and where in the paper it stands."""

    title: str
    place: str
    spec: dict[str, Any]
    arms: dict[str, dict[str, Any] | None]
    presets: dict[Literal["quick", "full"], dict[str, Any] | None]

    @field_validator("arms")
    @classmethod
    def _presets_of_arms(cls, arms: dict[str, Any]) -> dict[str, Any]:
        """What an arm changes under a preset is a part of it like the experiment's own."""
        for arm, own in arms.items():
            check_name(arm, "arm")
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
    """A paper's experiments by name."""

    title: str
    reference: str
    experiments: dict[str, Experiment]

    @field_validator("experiments")
    @classmethod
    def _plain_names(cls, experiments: dict[str, Any]) -> dict[str, Any]:
        for name in experiments:
            check_name(name, "experiment")
            if "." in name:
                raise ValueError(
                    f"experiment {name!r}: a dot stands between an experiment and its tables"
                )
        return experiments


def papers(store: Store = Store()) -> list[str]:
    """Names of the papers: the folders that hold an ``experiments.yaml``."""
    return sorted(path.parent.name for path in store.papers.glob("*/experiments.yaml"))


@cache
def load(paper: str, store: Store = Store()) -> Paper:
    """Read a paper's experiments. Raises UserError for an unknown paper or a bad file."""
    known = papers(store)
    if paper not in known:
        raise UserError(f"unknown paper {paper!r}; {nearest(paper, known)}")
    return parse(Paper, read_yaml(store.experiments(paper)), _short(paper))


def cells(paper: str, preset: str, store: Store = Store()) -> list[Cell]:
    """All cells of a paper under ``preset``, in the order of the file. Raises UserError."""
    return [
        cell(paper, experiment, arm, preset, store)
        for experiment, content in load(paper, store).experiments.items()
        if preset in content.presets
        for arm in content.arms
    ]


def cells_of(paper: str, experiment: str, preset: str, store: Store = Store()) -> list[Cell]:
    """The cells of one experiment under ``preset``. Raises UserError where it has none."""
    found = [c for c in cells(paper, preset, store) if c.experiment == experiment]
    if not found:
        valid = nearest(experiment, {c.experiment for c in cells(paper, preset, store)})
        raise UserError(f"{paper}: no experiment {experiment!r} in preset {preset!r}; {valid}")
    return found


def cell(paper: str, experiment: str, arm: str, preset: str, store: Store = Store()) -> Cell:
    """One cell, resolved: spec <- preset <- arm <- the arm's own preset. Raises UserError."""
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; {nearest(preset, PRESETS)}")
    known = load(paper, store).experiments
    if experiment not in known:
        raise UserError(f"{paper}: unknown experiment {experiment!r}; {nearest(experiment, known)}")
    content = known[experiment]
    if arm not in content.arms:
        raise UserError(f"{paper}/{experiment}: unknown arm {arm!r}; {nearest(arm, content.arms)}")
    if preset not in content.presets:
        valid = nearest(preset, content.presets)
        raise UserError(f"{paper}/{experiment} has no preset {preset!r}; {valid}")
    return _resolved(paper, experiment, arm, preset, store)


@cache
def _resolved(paper: str, experiment: str, arm: str, preset: str, store: Store) -> Cell:
    content = load(paper, store).experiments[experiment]
    own = dict(content.arms[arm] or {})
    own_presets = own.pop("presets", {})
    merged = _merge(content.spec, content.presets[preset] or {})  # type: ignore[index]
    merged = _merge(_merge(merged, own), own_presets.get(preset) or {})
    where = f"{_short(paper)}: {experiment}/{arm} ({preset})"
    return Cell(paper, experiment, arm, preset, parse(RunSpec, merged, where))


def declared_seeds(content: Any, experiment: str, arm: str, presets: Sequence[str]) -> int | None:
    """How many seeds an ``experiments.yaml`` declares for a cell, whatever else has become of it since; None
    where it has no such cell. ``presets``: the names that the preset had."""
    try:
        one = content["experiments"][experiment]
        own = dict(one["arms"][arm] or {})
        of_arm = own.pop("presets", {})
        name = next(name for name in presets if name in one["presets"])
        merged = _merge(one["spec"], one["presets"][name] or {})
        return int(_merge(_merge(merged, own), of_arm.get(name) or {})["seeds"])
    except (KeyError, TypeError, AttributeError, StopIteration):
        return None


def names(paper: str, preset: str, store: Store = Store()) -> list[str]:
    """The experiments of a paper that a preset has cells of."""
    return [n for n, content in load(paper, store).experiments.items() if preset in content.presets]


def same_in_both(paper: str, experiment: str, store: Store = Store()) -> bool:
    """Whether the presets run an experiment alike, seeds included: quick's numbers are full scale's."""
    if not set(PRESETS) <= load(paper, store).experiments[experiment].presets.keys():
        return False
    quick, full = ([c.spec for c in cells_of(paper, experiment, p, store)] for p in PRESETS)
    return quick == full


def kept(paper: str, store: Store = Store()) -> list[str]:
    """The experiments at full scale whose records are kept as accepted."""
    return [
        name
        for name in names(paper, "full", store)
        if store.kept(paper, "full", name, "runs").is_file()
    ]


def accepted(paper: str, store: Store = Store()) -> list[str]:
    """The experiments that there are at full scale: those kept, and those that quick runs as they are.

    None for a paper of which nothing was ever accepted.
    """
    if not store.accepted(paper, "full").is_dir():
        return []
    full = set(kept(paper, store))
    known = names(paper, "full", store)
    return [name for name in known if name in full or same_in_both(paper, name, store)]


def recorded(paper: str, preset: str, store: Store = Store()) -> dict[str, dict[str, list[str]]]:
    """Experiment -> arm -> measures that a preset records."""
    known: dict[str, dict[str, list[str]]] = {}
    for one in cells(paper, preset, store):
        known.setdefault(one.experiment, {})[one.arm] = list(one.spec.measures)
    return known


def _short(paper: str) -> str:
    return f"replications/{paper}/experiments.yaml"


# Choices of one among several: naming another one replaces the base's, it does not join it.
_CHOICES = {
    "task", "init", "first_init", "readout_init", "bias_init", "feedback_init", "record"
}  # fmt: skip
_OPTIMIZERS = {"sgd", "rmsprop", "adam"}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
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
