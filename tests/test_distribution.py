"""What ``pip install`` gives: the library alone, with jax and flax, from the source or the wheel."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

import pytest

import bioflax

ROOT = Path(__file__).parents[1]
FILES = {str(path.relative_to(ROOT)) for path in (ROOT / "bioflax").rglob("*.py")}
FILES.add("bioflax/py.typed")
EXAMPLE = "import bioflax, doctest; print(bioflax.__version__, *doctest.testmod(bioflax))"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The source archive of a copy of the library, and the wheel made from that archive."""
    copy, out = (tmp_path_factory.mktemp(name) for name in ("copy", "out"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "bioflax", copy / "bioflax")
    run(sys.executable, "-m", "build", "--outdir", out, copy)
    (source,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return source, wheel


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_source_archive_has_the_whole_library_and_its_licence(archives):
    with tarfile.open(archives[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= FILES | {"LICENSE", "README.md", "pyproject.toml"}


def test_the_wheel_has_the_library_its_types_and_nothing_else(archives):
    names = set(zipfile.ZipFile(archives[1]).namelist())
    metadata = f"bioflax-{bioflax.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(metadata)} == FILES
    assert f"{metadata}licenses/LICENSE" in names


def test_the_package_index_would_take_them_and_show_the_readme(archives):
    run(sys.executable, "-m", "twine", "check", "--strict", *archives)


def test_installed_in_a_clean_environment_its_example_runs(archives):
    with tempfile.TemporaryDirectory() as folder:  # of some 800 MB, which pytest would keep
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        run(python, "-I", "-m", "pip", "install", "--quiet", archives[1])
        version, failed, attempted = run(python, "-I", "-c", EXAMPLE).split()
    assert (version, failed) == (bioflax.__version__, "0")
    assert int(attempted) > 3
