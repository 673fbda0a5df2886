"""A SLURM cluster of one node on this machine, for tests and benchmarks.

Its daemons (munged, slurmctld, slurmd) are children of this process and write into one folder. It needs root
and the packages slurm-wlm and munge; neither systemd nor control groups, and there is no accounting.

``python tests/helpers/slurm.py COMMAND ...`` runs a command with such a cluster and then ends the cluster.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CPUS = 4
"""More than there may be: tests wait more than they compute."""

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
_PATIENCE = 60.0


def why_not() -> str:
    """Why no cluster can be started here; empty if one can."""
    if absent := [name for name in _PROGRAMS if shutil.which(name, path=_path()) is None]:
        return f"{', '.join(absent)} not found (apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


@contextlib.contextmanager
def cluster(cpus: int = CPUS) -> Iterator[dict[str, str]]:
    """Start a cluster; yields the environment in which its commands work, and ends it with all its jobs."""
    # In /tmp: the name of munged's socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    folder.chmod(0o755)
    environment = os.environ | {"PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}
    daemons: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (folder / f"{command[0]}.out").open("wb") as out:
            daemons.append(
                subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            )

    try:
        _configure(folder, cpus)
        start("munged", "--foreground", "--force", *_munge_options(folder))
        _wait(folder, lambda: (folder / "munge.socket").exists(), daemons)
        start("slurmctld", "-D", "-c")
        start("slurmd", "-D", "-N", "node")
        _wait(folder, lambda: _answers(environment, "sinfo", "-h", "-o", "%T") == "idle", daemons)
        yield environment
    finally:
        _answers(environment, "scancel", "--full", "--signal=KILL", "--user", "root")
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        _end_steps(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _configure(folder: Path, cpus: int) -> None:
    ports = _free_ports(2)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(
        f"""\
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for as long as a credential lives: two minutes by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=10
MinJobAge=600
InactiveLimit=0
NodeName=node NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP
"""
    )


def _munge_options(folder: Path) -> list[str]:
    files = {
        "socket": "munge.socket",
        "key-file": "munge.key",
        "pid-file": "munge.pid",
        "seed-file": "munge.seed",
    }
    return [f"--{option}={folder / name}" for option, name in files.items()]


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _answers(environment: dict[str, str], *command: str) -> str:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _wait(folder: Path, ready: Callable[[], bool], daemons: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        dead = [one.args for one in daemons if one.poll() is not None]
        if dead or time.monotonic() > deadline:
            logs = "\n".join(
                f"--- {one.name}\n{one.read_text()[-2000:]}" for one in folder.glob("*.[lo][ou]*")
            )
            raise RuntimeError(f"SLURM did not start ({f'ended: {dead}' if dead else 'no answer'})\n{logs}")
        time.sleep(0.2)


def _end_steps(folder: Path) -> None:
    """End what jobs left: their processes have the cluster's configuration in their environment."""
    mark = f"SLURM_CONF={folder}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)


if __name__ == "__main__":
    if why := why_not():
        sys.exit(f"no SLURM here: {why}")
    with cluster() as where:
        sys.exit(subprocess.run(sys.argv[1:] or ["sinfo"], env=where).returncode)
