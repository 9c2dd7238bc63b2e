"""One archive of all that others need: sources, lock, accepted results, figures, claims, report; and its check.

A Workflow Run RO-Crate (https://w3id.org/ro/wfrun/workflow/0.5): ``ro-crate-metadata.json`` says what the files
are and which workflow made them; ``checksums.sha256`` is what ``sha256sum -c`` reads.
"""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from replications.harness.declared.reading import one_line, read_yaml
from replications.harness.errors import UserError
from replications.harness.files import atomically
from replications.harness.store import ROOT, Store

SOURCE, RESULTS = "source", "results"
CHECKSUMS, METADATA = "checksums.sha256", "ro-crate-metadata.json"
CITATION, LOCK = "CITATION.cff", "requirements.lock"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
# What of the results travels: no arrays of runs and no data sets, which can be made again.
TAKEN = ("scoreboard.html", "report.html", "*/claims.*", "*/overview.*", "*/*/claims.json", "*/*/check.txt",
         "*/*/figures/*", "*/*/tables/*")  # fmt: skip


def write_artifact(output: Path, store: Store, root: Path = ROOT) -> int:
    """Write the archive; the number of its files. Raises UserError without git, with changes that are not
    committed, and where nothing has been judged."""
    if output.suffix != ".zip":
        raise UserError(f"{output}: an artifact is a file whose name ends in .zip")
    results = sorted({file for one in TAKEN for file in store.results.glob(one) if file.is_file()})
    if not any(file.name == "claims.json" for file in results):
        raise UserError(f"{store.results}: nothing has been judged; run `snakemake --cores all`")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        when = _sources(root, folder / SOURCE)
        for name in (CITATION, LOCK):
            shutil.copyfile(folder / SOURCE / name, folder / name)
        for file in results:
            copy = folder / RESULTS / file.relative_to(store.results)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        _describe(folder, when, [datetime.fromtimestamp(f.stat().st_mtime, UTC) for f in results])
        lines = [f"{_sha256(file)}  {name}\n" for name, file in _files(folder)]
        (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
        with atomically(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, file in _files(folder):
                entry = zipfile.ZipInfo(name, when.timetuple()[:6])
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, file.read_bytes())
        return len(lines) + 1


def check_artifact(
    file: Path, words: Sequence[str], verifies: bool = True, say: Callable[[str], None] = print
) -> int:
    """Check an archive, and train accepted seeds again by the sources in it: 0, or 1 where numbers differ.

    ``words``: what ``verify`` is asked for. Raises UserError where it is no whole archive, or not as written.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _unpack(file, folder)
        count = _check_sums(file, folder)
        _check_described(file, folder)
        say(f"{file}: {count} files, all as written, described by {METADATA}")
        if not verifies:
            return 0
        # The archive's own code: this process runs another checkout's.
        command = [sys.executable, "-m", "replications", "verify", *words]
        return subprocess.run(command, cwd=folder / SOURCE, check=False).returncode


def _sources(root: Path, target: Path) -> datetime:
    """Unpack the sources of the last commit; its time."""

    def git(*words: str) -> bytes:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, check=False)
        if done.returncode:
            said = one_line(done.stderr.decode(errors="replace"))
            raise UserError(f"{root}: git {words[0]}: {said}; an artifact is made in a checkout")
        return done.stdout

    try:
        changed = git("status", "--porcelain", "-uno").decode().split("\n")[0]
        if changed:
            raise UserError(f"{root}: not committed: {changed.strip()}; commit it first")
        with tarfile.open(fileobj=io.BytesIO(git("archive", "HEAD"))) as archive:
            archive.extractall(target, filter="data")
        return datetime.fromisoformat(git("log", "-1", "--format=%cI").decode().strip())
    except FileNotFoundError:
        raise UserError("git: no such command; an artifact is made in a checkout") from None


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of an unpacked archive by their names in it, in order."""
    found = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*")}
    return ((name, found[name]) for name in sorted(found) if found[name].is_file())


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _describe(folder: Path, when: datetime, times: Sequence[datetime]) -> None:
    """Write the metadata: the workflow, the run of it, its inputs and its outputs."""
    from rocrate.model.computerlanguage import get_lang
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    said = read_yaml(folder / CITATION)
    crate = ROCrate(version="1.1")  # what the profiles below are of
    crate.name, crate.description = said["title"], said["message"]
    crate.license = f"https://spdx.org/licenses/{said['license']}"
    crate.datePublished = when
    authors = [
        crate.add(
            ContextEntity(crate, f"#author-{i}", {"@type": "Organization", "name": one["name"]})
        )
        for i, one in enumerate(said["authors"], 1)
    ]
    crate.creator = authors
    for profile, name in PROFILES.items():
        own = {"@type": "CreativeWork", "name": name, "version": profile.rpartition("/")[2]}
        crate.root_dataset.append_to("conformsTo", crate.add(ContextEntity(crate, profile, own)))
    language = crate.add(get_lang(crate, "snakemake"))
    workflow = crate.add_workflow(
        dest_path=f"{SOURCE}/Snakefile",
        main=True,
        lang=language,
        properties={"name": said["title"]},
    )
    workflow["version"] = str(said["version"])
    inputs: list[Any] = [
        crate.add_file(dest_path=name, properties={"name": text})
        for name, text in ((LOCK, "The exact packages"), (CITATION, "How to cite"))
    ]
    results = []
    for name, _ in _files(folder):
        if name in (LOCK, CITATION, f"{SOURCE}/Snakefile"):
            continue
        made = crate.add_file(dest_path=name, properties={"name": PurePosixPath(name).name})
        if name.startswith(f"{RESULTS}/"):
            results.append(made)
        elif "/accepted/" in name or name.endswith((".yaml", ".yml")):
            inputs.append(made)
    run = {
        "@type": "CreateAction",
        "name": "snakemake --cores all",
        "startTime": min(times).isoformat(timespec="seconds"),
        "endTime": max(times).isoformat(timespec="seconds"),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    action = crate.add(ContextEntity(crate, "#run", run))
    action["instrument"], action["object"], action["result"] = workflow, inputs, results
    action["agent"] = authors
    crate.root_dataset.append_to("mentions", action)
    crate.metadata.write(folder)


def _unpack(file: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
                    raise UserError(f"{file}: {one_line(name)} lies outside the archive")
            archive.extractall(folder)
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, zlib.error) as error:
        raise UserError(f"{file}: not a whole archive ({one_line(error)}); get it again") from None


def _check_sums(file: Path, folder: Path) -> int:
    """Raise UserError unless every file is as written, none is gone and none was added; their number."""
    sums = folder / CHECKSUMS
    if not sums.is_file():
        raise UserError(f"{file}: no {CHECKSUMS} in it; is it an artifact of this project?")
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines()
    said = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {name: one for name, one in _files(folder) if name != CHECKSUMS}
    for name in sorted(said.keys() | found.keys()):
        if name not in found:
            raise UserError(f"{file}: {one_line(name)} is gone")
        if name not in said:
            raise UserError(f"{file}: {one_line(name)} was added")
        if _sha256(found[name]) != said[name]:
            raise UserError(f"{file}: {name} is not as it was written")
    return len(found) + 1


def _check_described(file: Path, folder: Path) -> None:
    """Raise UserError unless the metadata names the workflow, its run, and files that are there."""
    from rocrate.rocrate import ROCrate

    try:
        crate = ROCrate(folder)
        profiles = {one.id for one in crate.root_dataset["conformsTo"]}
        actions = [one for one in crate.root_dataset["mentions"] if one.type == "CreateAction"]
        (workflow,) = {action["instrument"].id for action in actions}
        gone = [
            e.id for e in crate.data_entities if e.type == "File" and not (folder / e.id).is_file()
        ]
    except Exception as error:  # whatever the library raises for what is no crate
        raise UserError(f"{file}: {METADATA}: {type(error).__name__}: {one_line(error)}") from None
    if missing := sorted(PROFILES.keys() - profiles):
        raise UserError(f"{file}: {METADATA}: does not conform to {missing[0]}")
    if gone or not (folder / workflow).is_file():
        raise UserError(
            f"{file}: {METADATA}: names {gone[0] if gone else workflow}, which is not there"
        )
