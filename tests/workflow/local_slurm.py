"""A real Slurm of one node, this machine, on loopback. Nothing is installed; what is started is stopped.

Needs root and Debian's ``munge slurmctld slurmd slurm-client``. By hand, to try a profile on it::

    python -m tests.workflow.local_slurm snakemake --profile workflow/profiles/slurm ...
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
# Where Slurm looks when nothing in the environment says so: the steps of a job drop SLURM_CONF.
DEFAULT = Path("/etc/slurm/slurm.conf")
PORT = 16817
PREFIX = "slurm-of-tests-"
# No accounting: there is no database. Finished jobs are kept so that `squeue` still knows them.
# A job larger than the node is refused at once instead of waiting for ever.
CONFIG = """\
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort=16818
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/slurmctld
SlurmdSpoolDir={folder}/slurmd
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=3600
EnforcePartLimits=ALL
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A running cluster."""

    folder: Path

    def submitted(self) -> int:
        """How many jobs have been submitted, whatever became of them."""
        listed = _said("squeue", "--noheader", "--states=all", "--format=%A")
        return len(set(listed.split()))

    def running(self) -> list[str]:
        return _said("squeue", "--noheader", "--states=running", "--format=%A").split()

    def idle(self) -> bool:
        """No job runs or waits."""
        return not _said("squeue", "--noheader", "--format=%A").split()

    def cancel(self, *jobs: str) -> None:
        _said("scancel", *jobs)


def lacking() -> str:
    """Why no cluster can be started on this machine; empty where it can."""
    missing = [command for command in COMMANDS if _find(command) is None]
    if missing:
        return f"no {', '.join(missing)} (Debian: munge slurmctld slurmd slurm-client)"
    if os.geteuid() != 0:
        return f"Slurm's daemons and {DEFAULT} need root"
    if os.path.lexists(DEFAULT) and not _left_behind():
        return f"{DEFAULT} is another cluster's"
    return ""


@contextmanager
def cluster(cpus: int = 2) -> Iterator[Slurm]:
    """A cluster with a number of CPUs, for as long as the block runs. Two at once cannot be."""
    if reason := lacking():
        raise RuntimeError(reason)
    with ExitStack() as stack:
        # Munge runs as its own user, who cannot enter a folder of mode 700.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
        folder.chmod(0o755)
        for name in ("munge", "slurmctld", "slurmd", "log"):
            (folder / name).mkdir()
        stack.enter_context(_munged(folder))
        config = folder / "slurm.conf"
        config.write_text(
            CONFIG.format(
                host=socket.gethostname().partition(".")[0],
                port=PORT,
                folder=folder,
                cpus=cpus,
                memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 - 512,
            )
        )
        stack.enter_context(_default(config))
        stack.enter_context(_daemon(folder, "slurmctld", "-D", "-i"))
        stack.enter_context(_daemon(folder, "slurmd", "-D"))
        slurm = Slurm(folder)
        wait_until(lambda: "idle" in _said("sinfo", "--noheader", "--format=%T", check=False))
        try:
            yield slurm
        finally:
            _said("scancel", f"--user={os.environ.get('USER', 'root')}", check=False)
            wait_until(slurm.idle)


def wait_until(true: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not so after {seconds} s")
        time.sleep(0.2)


def _left_behind() -> bool:
    """Whether the link is that of a cluster of ours which was killed before it could clean up."""
    with socket.socket() as tried:
        alive = tried.connect_ex(("127.0.0.1", PORT)) == 0
    return DEFAULT.is_symlink() and DEFAULT.readlink().parent.name.startswith(PREFIX) and not alive


def _find(command: str) -> str | None:
    """Daemons lie where the path of a user does not lead."""
    return shutil.which(command, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))


def _said(command: str, *words: str, check: bool = True) -> str:
    done = subprocess.run([command, *words], check=check, capture_output=True, text=True)
    return done.stdout


@contextmanager
def _munged(folder: Path) -> Iterator[None]:
    """Munge signs what Slurm's parts say to each other. With a key of its own."""
    own = folder / "munge"
    key = own / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for path in (own, key):
        shutil.chown(path, "munge", "munge")
    files = {"key-file": key, "socket": own / "socket"}
    files |= {f"{name}-file": own / name for name in ("log", "pid", "seed")}
    words = [f"--{option}={path}" for option, path in files.items()]
    with _daemon(folder, "munged", "--foreground", *words, user="munge", group="munge"):
        wait_until((own / "socket").exists)
        yield


@contextmanager
def _default(config: Path) -> Iterator[None]:
    made = not DEFAULT.parent.exists()
    DEFAULT.parent.mkdir(exist_ok=True)
    DEFAULT.unlink(missing_ok=True)
    DEFAULT.symlink_to(config)
    try:
        yield
    finally:
        DEFAULT.unlink()
        if made:
            DEFAULT.parent.rmdir()


@contextmanager
def _daemon(folder: Path, name: str, *words: str, **how: str) -> Iterator[None]:
    program = _find(name)
    assert program is not None
    with (folder / "log" / name).open("w") as log:
        process = subprocess.Popen([program, *words], stdout=log, stderr=log, **how)  # type: ignore[call-overload]
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


if __name__ == "__main__":
    if reason := lacking():
        sys.exit(f"error: {reason}")
    with cluster() as local:
        ended = subprocess.run(sys.argv[1:], check=False)
        print(f"{local.submitted()} Slurm jobs", file=sys.stderr)
    sys.exit(ended.returncode)
