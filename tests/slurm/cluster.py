"""A real Slurm of two nodes with accounting on one machine, from Debian's packages; it leaves nothing behind.

Needs root and the packages slurm-wlm, munge, slurmdbd and mariadb-server; `make test-slurm` installs them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = (
    "munged",
    "mariadbd",
    "mariadb-install-db",
    "slurmdbd",
    "slurmctld",
    "slurmd",
    "sacctmgr",
    "sinfo",
    "srun",
)
DATABASE_PORT, PASSWORD = 13306, "only-for-tests"

SLURM_CONF = """
ClusterName=tests
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
SlurmctldPort=16817
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool.%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.%n.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=16819
AccountingStoragePass={home}/munge/socket
JobAcctGatherType=jobacct_gather/none
KillWait=5
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=17001 CPUs=2 RealMemory=8000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=8000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""

SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
DbdHost=localhost
DbdPort=16819
SlurmUser=root
LogFile={home}/slurmdbd.log
PidFile={home}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""

INIT_SQL = """
CREATE DATABASE IF NOT EXISTS slurm;
CREATE USER IF NOT EXISTS 'slurm'@'%' IDENTIFIED BY '{password}';
GRANT ALL ON slurm.* TO 'slurm'@'%';
"""


def reason_to_skip() -> str | None:
    """Return why no cluster can be started here, None where it can."""
    if os.geteuid() != 0:
        return "a cluster of one's own needs root"
    absent = [
        program
        for program in PROGRAMS
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None
    ]
    return (
        f"not installed: {', '.join(absent)}; `make test-slurm` installs them on Debian" if absent else None
    )


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Start the daemons, yield the environment that its commands need, and stop all that was started."""
    home = Path(tempfile.mkdtemp(prefix="deepmatte-slurm-"))
    home.chmod(0o755)
    environment = os.environ | {
        "SLURM_CONF": str(home / "slurm.conf"),
        "PATH": os.environ["PATH"] + ":/usr/sbin",
    }
    daemons: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (home / "daemons.log").open("ab") as log:
            daemons.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            )

    def answers(*command: str) -> Callable[[], bool]:
        return lambda: subprocess.run(command, env=environment, capture_output=True).returncode == 0

    try:
        _configure(home)
        start(
            "runuser", "-u", "munge", "--", "munged", "--foreground", "--force", *_munge_files(home / "munge")
        )
        _database(home, environment, start)
        _wait(lambda: (home / "munge/socket").exists(), home)
        start("slurmdbd", "-D")
        _wait(answers("sacctmgr", "-n", "list", "cluster"), home)
        subprocess.run(["sacctmgr", "-i", "add", "cluster", "tests"], env=environment, capture_output=True)
        start("slurmctld", "-D")
        for node in ("n1", "n2"):
            (home / f"spool.{node}").mkdir()
            start("slurmd", "-D", "-N", node)
        _wait(
            lambda: (
                subprocess.run(
                    ["sinfo", "-h", "-t", "idle", "-o", "%D"], env=environment, capture_output=True
                ).stdout
                == b"2\n"
            ),
            home,
        )
        yield environment
    finally:
        subprocess.run(["scancel", "--full", "--user=root"], env=environment, capture_output=True, timeout=60)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()
        _end_leftovers(environment["SLURM_CONF"])
        shutil.rmtree(home, ignore_errors=True)


def _end_leftovers(conf: str) -> None:
    """Kill what the nodes have left running, which has this cluster's ``SLURM_CONF`` in its environment."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                f"SLURM_CONF={conf}".encode() in (process / "environ").read_bytes().split(b"\0")
                and int(process.name) != os.getpid()
            ):
                os.kill(int(process.name), signal.SIGKILL)


def _configure(home: Path) -> None:
    host = os.uname().nodename
    (home / "state").mkdir()
    (home / "slurm.conf").write_text(SLURM_CONF.format(home=home, host=host))
    secret = home / "slurmdbd.conf"
    secret.touch(mode=0o600)
    secret.write_text(SLURMDBD_CONF.format(home=home, port=DATABASE_PORT, password=PASSWORD))
    munge = home / "munge"
    munge.mkdir(mode=0o755)
    key = munge / "key"
    key.touch(mode=0o400)
    key.write_bytes(os.urandom(1024))
    for path in (munge, key):
        shutil.chown(path, "munge", "munge")


def _munge_files(folder: Path) -> list[str]:
    return [f"--{kind}-file={folder / kind}" for kind in ("key", "pid", "log", "seed")] + [
        f"--socket={folder / 'socket'}"
    ]


def _database(home: Path, environment: dict[str, str], start: Callable[..., None]) -> None:
    data = home / "database"
    data.mkdir(mode=0o755)
    shutil.chown(data, "mysql", "mysql")
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=mysql", "--skip-test-db"]
    subprocess.run(install, env=environment, check=True, capture_output=True)
    (home / "init.sql").write_text(INIT_SQL.format(password=PASSWORD))
    options = [
        f"--datadir={data}",
        "--user=mysql",
        f"--socket={data}/socket",
        f"--port={DATABASE_PORT}",
        "--bind-address=127.0.0.1",
    ]
    start("mariadbd", "--no-defaults", *options, f"--init-file={home / 'init.sql'}")
    _wait(lambda: (data / "socket").exists(), home)


def _wait(condition: Callable[[], bool], home: Path, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            logs = "\n".join(
                f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in home.glob("*.log")
            )
            raise RuntimeError(f"the cluster does not start:\n{logs}")
        time.sleep(0.3)
