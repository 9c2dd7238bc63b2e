"""``python -m MODULE`` in a fork of a process that has imported what is slow to import: half of a dry run."""

import functools
import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
# Of third parties alone: the modules of a checkout are those of its own folder.
FORKS.set_forkserver_preload(
    ["snakemake.cli", "snakemake.dag", "snakemake.scheduling.milp", "pytest", "seaborn"]
)


def module(words: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a module with its arguments in a folder; its exit status, and all that it said."""
    with tempfile.TemporaryDirectory() as place:
        said = Path(place, "said")
        process = FORKS.Process(target=_run, args=(words, folder, environment, _path(), said))
        process.start()
        process.join()
        return process.exitcode, said.read_text()


@functools.cache
def _path() -> list[str]:
    """Where a new interpreter looks for modules, but for its own folder."""
    code = "import json, sys; print(json.dumps(sys.path[1:]))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": ""}, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _run(
    words: list[str], folder: Path, environment: dict[str, str], path: list[str], said: Path
) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:], sys.argv[:] = [str(folder), *path], words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
