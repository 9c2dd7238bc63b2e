"""What was accepted, and whether it still says so.

``manifest.json`` of an accepted folder holds, for each cell, the digest of its spec and its origins
(training.provenance): per seed where its numbers come from and the sha256 of its records; the sha256 of every
other accepted file; and that of what the results were judged by, ``claims.yaml`` and ``published.yaml``.
``wall_seconds`` and ``resumes`` are null where nobody recorded them.
"""

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from replications.harness.declared import experiments
from replications.harness.declared.experiments import Cell
from replications.harness.declared.reading import Loader, read_yaml
from replications.harness.errors import UserError, damaged
from replications.harness.store import Store
from replications.harness.training import provenance

MANIFEST = "manifest.json"
# Cell -> {"spec_digest": ..., "origins": [...]}; at full scale also "stands_with": the code and the versions
# with which its fingerprint was last seen to stand.
Cells = dict[str, dict[str, Any]]
_KEYS = ("arm", "seed")


@dataclass(frozen=True)
class Manifest:
    """An accepted folder's account of itself.

    Attributes:
      declared: name of a YAML file -> sha256 of what it says.
      files: name of an accepted file -> sha256 of its text; of records see ``cells``.
      cells: cell -> the digest of its spec, and its origins.
    """

    declared: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    cells: Cells = field(default_factory=dict)

    @property
    def text(self) -> str:
        """As it is written: a line for each origin."""
        cells = ",\n".join(_cell_text(name, cell) for name, cell in self.cells.items())
        parts = {"declared": self.declared, "files": dict(sorted(self.files.items()))}
        head = ",\n".join(f'"{k}": {json.dumps(v, indent=1)}' for k, v in parts.items())
        return f'{{\n{head},\n"cells": {{\n{cells}\n}}\n}}\n'


def _cell_text(name: str, cell: Mapping[str, Any]) -> str:
    facts = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in cell.items() if k != "origins"]
    origins = ",\n  ".join(json.dumps(origin) for origin in cell["origins"])
    return f'"{name}": {{{", ".join(facts)}, "origins": [\n  {origins}]}}'


def read_manifest(paper: str, preset: str, store: Store = Store()) -> Manifest:
    """An accepted folder's manifest; an empty one where nothing was accepted. Raises UserError."""
    file = store.accepted(paper, preset) / MANIFEST
    if not file.exists():
        return Manifest()
    try:
        return Manifest(**json.loads(read_text(file)))
    except (ValueError, TypeError) as error:
        raise damaged(file, error) from None


def read_text(file: Path) -> str:
    """The text of an accepted file, with line ends as they were written. Raises UserError."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file}: damaged, it is no text; take it back from git") from None


def text_digest(text: str) -> str:
    """Sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def declared(paper: str, store: Store) -> dict[str, str]:
    """What a paper's results are judged by: name of the file -> sha256 of what it says, layout and
    comments apart."""
    return {
        file.name: _said(read_yaml(file))
        for file in (store.claims(paper), store.published(paper))
        if file.exists()
    }


def _said(content: Any) -> str:
    return text_digest(json.dumps(content, sort_keys=True, default=str))


def other_declarations(paper: str, preset: str, store: Store = Store()) -> list[str]:
    """The lines of ``claims.yaml`` and ``published.yaml`` that differ from what was accepted."""
    accepted, now = read_manifest(paper, preset, store).declared, declared(paper, store)
    lines = []
    for name in sorted(accepted.keys() | now.keys()):
        if accepted.get(name) != now.get(name):
            lines += [
                f"{name} is another than the one accepted ({preset}):",
                *_difference(store.papers / paper / name, accepted.get(name)),
            ]
    return lines


def _difference(file: Path, accepted: str | None) -> list[str]:
    """What changed in a file since it said what has the digest ``accepted``, as far as git knows."""
    for text in provenance.past_texts(file) if accepted else ():
        try:
            content = yaml.load(text, Loader)
        except yaml.YAMLError:
            continue
        if _said(content) == accepted:
            new = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            changed = difflib.unified_diff(text.splitlines(), new, lineterm="", n=0)
            return [f"  {line}" for line in changed if not line.startswith(("---", "+++", "@@"))]
    return ["  git does not know the one accepted"]


def stands(cells: Sequence[Cell]) -> dict[str, dict[str, str]]:
    """What the manifest says of cells whose fingerprints stand today."""
    return {cell.key: {"stands_with": provenance.code_and_versions(cell)} for cell in cells}


def unproven(paper: str, store: Store = Store()) -> list[str]:
    """The experiments kept at full scale whose fingerprints must be taken: where the code or the versions
    are not those with which they were last seen to stand."""
    known = read_manifest(paper, "full", store).cells
    return [
        name
        for name in experiments.kept(paper, store)
        for now in [stands(experiments.cells_of(paper, name, "full", store))]
        if any(
            known.get(key, {}).get("stands_with") != one["stands_with"] for key, one in now.items()
        )
    ]


def records_digests(text: str) -> dict[tuple[str, int], str]:
    """(arm, seed) -> sha256 over its rows of accepted records.

    A row is its numbers as printed, each with the name of its column, sorted: neither the columns of
    other arms nor the order of anything count.
    """
    found: dict[tuple[str, int], Any] = {}
    for row in csv.DictReader(io.StringIO(text)):
        key = row["arm"], int(row["seed"])
        said = " ".join(f"{k}={v}" for k, v in sorted(row.items()) if v and k not in _KEYS)
        found.setdefault(key, hashlib.sha256()).update(f"{said}\n".encode())
    return {key: digest.hexdigest() for key, digest in found.items()}


def with_records(cells: Cells, experiment: str, text: str) -> Cells:
    """The cells of an experiment, with the digest of every seed's records; seeds without are left out."""
    digests = records_digests(text)
    found = {}
    for key, cell in cells.items():
        arm = key.removeprefix(f"{experiment}/")
        seeds = {seed for one, seed in digests if one == arm}
        origins = provenance.only(cell["origins"], seeds)
        for origin in origins:
            for seed, own in origin["seeds"].items():
                origin["seeds"][seed] = {"records": digests[arm, int(seed)], **own}
        found[key] = {**cell, "origins": origins}
    return found


def damage(paper: str, preset: str, store: Store = Store()) -> list[str]:
    """What in an accepted folder is not as it was accepted, a line each: cells and seeds by name."""
    folder = store.accepted(paper, preset)
    manifest = read_manifest(paper, preset, store)
    lines = []
    there = {file.name for file in folder.iterdir() if file.is_file()} - {MANIFEST}
    for name in sorted(there - manifest.files.keys()):
        lines.append(f"{name}: nobody accepted it")
    for name, digest in manifest.files.items():
        if name not in there:
            lines.append(f"{name}: accepted, but gone")
            continue
        text = read_text(folder / name)
        if text_digest(text) == digest:
            continue
        experiment, _, kind = name.removesuffix(".csv").partition(".")
        seeds = _other_seeds(manifest.cells, experiment, text) if kind == "runs" else []
        lines += seeds or [f"{name}: another text than the one accepted"]
    return [f"{folder / line}" for line in lines]


def _other_seeds(cells: Cells, experiment: str, text: str) -> list[str]:
    """The seeds whose records are not those that were accepted."""
    try:
        now = records_digests(text)
    except (KeyError, ValueError, TypeError, csv.Error):
        return []
    said = {
        (key.removeprefix(f"{experiment}/"), seed): facts["records"]
        for key, cell in cells.items()
        if key.startswith(f"{experiment}/")
        for seed, facts in provenance.of_seeds(cell["origins"]).items()
    }
    differ = sorted(key for key in said.keys() | now.keys() if said.get(key) != now.get(key))
    return [
        f"{experiment}.runs.csv: the records of {arm}, seed {seed} are not those accepted"
        for arm, seed in differ
    ]


def names_of(lines: Iterable[str], most: int = 20) -> str:
    """Some lines as one text: the first of them, and how many more there are."""
    lines = list(lines)
    more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more])
