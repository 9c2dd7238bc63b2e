"""Results on disk: a cell's numbers and where they come from, in one file that is whole or refused.

The manifest lies in the .npz beside the arrays, so that no crash can join one run's numbers with another's
manifest; a digest over all of it tells damage.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from replications.harness.errors import DAMAGE, UserError
from replications.harness.files import atomically

_MANIFEST, _DIGEST = "manifest", "sha256"
_NOT_MEASURES = ("seeds", "step", "first_losses", _MANIFEST, _DIGEST)


class Run(NamedTuple):
    """A cell's numbers: ``seeds`` (S,), ``step`` (R,), ``first_losses`` (S, 20), measures (S, R).

    ``features/hidden_k`` (S, P, units), among the measures, are those of P examples at the end; other
    arrays (``traces``, ``fields``) are kept at every record, (S, R, ...).
    """

    seeds: np.ndarray
    step: np.ndarray
    first_losses: np.ndarray
    measures: dict[str, np.ndarray]
    manifest: dict[str, Any]


def write_run(path: Path, run: Run) -> None:
    """Write a run as one file, whole or not at all: the same bytes for the same numbers and manifest."""
    arrays = {"seeds": run.seeds, "step": run.step, "first_losses": run.first_losses}
    arrays |= dict(sorted(run.measures.items()))
    arrays[_MANIFEST] = np.asarray(json.dumps(run.manifest, sort_keys=True))
    arrays[_DIGEST] = np.asarray(arrays_digest(arrays))
    with atomically(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_run(path: Path) -> Run:
    """Read a cell's numbers.

    Raises UserError where they have not been computed, where the file is damaged, and where it is
    another cell's.
    """
    if not path.exists():
        raise UserError(f"{path}: no such result; make it with `python -m replications simulate`")
    remedy = "delete it and run `python -m replications simulate` again"
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        expected = str(arrays.pop(_DIGEST))
        found = arrays_digest(arrays)
        manifest = json.loads(str(arrays[_MANIFEST]))
        run = Run(arrays["seeds"], arrays["step"], arrays["first_losses"], {}, manifest)
    except DAMAGE as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[:1]
        said = what if isinstance(what, str) else "".join(what) or type(error).__name__
        raise UserError(f"{path}: not a whole result ({said}); {remedy}") from None
    if found != expected:
        raise UserError(f"{path}: damaged, its sha256 is {found}, expected {expected}; {remedy}")
    # The folders and the name of the file say whose it is to be: preset/paper/runs/experiment/arm.npz.
    places = {"arm": path.stem, "experiment": path.parent.name}
    if path.parent.parent.name == "runs":
        paper = path.parent.parent.parent
        places |= {"paper": paper.name, "preset": paper.parent.name}
    for key, place in places.items():
        if manifest.get(key, place) != place:
            whose = "/".join(str(manifest.get(key, "?")) for key in reversed(places))
            raise UserError(f"{path}: the result of {whose}; {remedy}")
    measures = {name: array for name, array in arrays.items() if name not in _NOT_MEASURES}
    return run._replace(measures=measures)


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Sha256 over arrays: names, types, shapes and values; not over the file around them."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
