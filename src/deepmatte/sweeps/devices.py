"""Leases of devices: jobs that run side by side on one machine each see GPUs, or cores, of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from deepmatte.errors import InputError
from deepmatte.files import own_folder
from deepmatte.runs.context import SweepContext
from deepmatte.runs.locks import Lock, acquire

SEQUENTIAL, SIDE_BY_SIDE, CLUSTER = (
    ("BasicLauncher",),
    ("JoblibLauncher", "LocalLauncher"),
    ("SlurmLauncher",),
)
"""Hydra's launchers: one job at a time, several on this machine, or a cluster, which assigns devices."""


@dataclass(frozen=True)
class DeviceLease:
    """The devices of one job: ``kind`` is gpu, cpu, or none where the job sees the whole machine."""

    kind: str = "none"
    ids: tuple[str, ...] = ()
    locks: tuple[Lock, ...] = field(default=(), repr=False)

    def environment(self, processes: int) -> dict[str, str]:
        """Return the variables that show a job of ``processes`` processes its own devices, and no others."""
        if self.kind == "gpu":
            return {"CUDA_VISIBLE_DEVICES": ",".join(self.ids)}
        if self.kind == "cpu":
            threads = max(1, len(self.ids) // processes)
            return {
                "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
                "CUDA_VISIBLE_DEVICES": "",
            }
        of_launcher = SweepContext.read().gpus
        return {} if of_launcher is None else {"CUDA_VISIBLE_DEVICES": ",".join(of_launcher)}

    def __str__(self) -> str:
        return f" on {self.kind} {','.join(self.ids)}" if self.ids else ""


class Demand(NamedTuple):
    """What a job needs: ``num`` of the devices ``ids``; ``kind`` is none where it takes no lease."""

    kind: str
    ids: list[str]
    num: int


def launcher_name(hydra: DictConfig) -> str:
    """Return the class of the launcher, such as JoblibLauncher."""
    return str(hydra.launcher._target_).rpartition(".")[2]


def gpus() -> list[str]:
    """Return the ids of the GPUs that this process may use, without loading CUDA."""
    of_launcher = SweepContext.read().gpus
    if of_launcher is not None:
        return list(of_launcher)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True
    )
    return done.stdout.split() if done.returncode == 0 else []


def cores() -> list[str]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return [str(core) for core in sorted(os.sched_getaffinity(0))]
    return [str(core) for core in range(os.cpu_count() or 1)]


def uses_gpus(config: DictConfig) -> bool:
    """Return whether the run uses GPUs on this machine."""
    accelerator = str(config.trainer.accelerator)
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and bool(gpus()))


def processes(config: DictConfig) -> int:
    """Return how many processes the run has on a node; 1 where it takes whatever there is."""
    devices = config.trainer.devices
    return devices if isinstance(devices, int) and devices > 0 else max(1, len(named_devices(config)))


def named_devices(config: DictConfig) -> list[str]:
    """Return the devices that ``trainer.devices`` names, as in ``[0,1]``; none where it gives a number."""
    devices = config.trainer.devices
    if isinstance(devices, str):
        devices = devices.split(",") if "," in devices else []
    if not isinstance(devices, Sequence):
        return []
    return [str(device).strip() for device in devices if str(device).strip()]


def parallel_jobs(hydra: DictConfig) -> int:
    """Return how many jobs the launcher runs at once."""
    name, launcher = launcher_name(hydra), hydra.launcher
    if name == "JoblibLauncher":
        count = int(launcher.n_jobs)
        if count == 0:
            raise InputError(
                "hydra.launcher.n_jobs=0: give how many jobs run at once, or -1 for one per core"
            )
        return count if count > 0 else max(1, len(cores()) + 1 + count)
    if name in CLUSTER:
        return int(launcher.array_parallelism)
    if name == "LocalLauncher":
        return max(1, len(cores()) // int(launcher.cpus_per_task or 1))
    return 1


def demand(config: DictConfig, hydra: DictConfig) -> Demand:
    """Return which devices a job leases.

    Raises:
        InputError: the job needs more GPUs than there are, or ``sweep.devices`` or ``trainer.devices`` names
            devices that do not exist or that sweeps lease out.
    """
    if launcher_name(hydra) in CLUSTER:
        return Demand("none", [], 0)
    if uses_gpus(config):
        kind, ids, count = "gpu", gpus(), processes(config)
    else:
        kind, ids = "cpu", cores()
        count = max(1, len(ids) // parallel_jobs(hydra))
        if launcher_name(hydra) == "LocalLauncher":
            count = int(hydra.launcher.cpus_per_task or 1)
    ids = _chosen(config.sweep.devices, kind, ids)
    if count > len(ids):
        raise InputError(
            f"trainer.devices={config.trainer.devices}: "
            f"more than the {len(ids)} {kind} devices that a job can have here; lower it"
        )
    leased = config.sweep.devices is not None and launcher_name(hydra) in SIDE_BY_SIDE
    known = set() if leased else {str(number) for number in range(len(ids))}
    if absent := [device for device in named_devices(config) if device not in known]:
        raise InputError(
            f"trainer.devices={config.trainer.devices}: "
            + ("" if leased else f"there is no {kind} {', '.join(absent)} here; ")
            + "give the number per job, as in trainer.devices=2; sweep.devices=[0,1] says which ones to use"
        )
    return Demand(kind, ids, count) if leased else Demand("none", [], 0)


def _chosen(chosen: object, kind: str, ids: list[str]) -> list[str]:
    """Return those of ``ids`` that ``sweep.devices`` allows."""
    if chosen in (None, "auto"):
        return ids
    if not isinstance(chosen, Sequence) or isinstance(chosen, str):
        raise InputError(f"sweep.devices={chosen}: give auto, null or a list of ids such as [0,1]")
    absent = [str(device) for device in chosen if str(device) not in ids]
    if absent:
        there = ", ".join(ids) or "none"
        raise InputError(f"sweep.devices: there is no {kind} {', '.join(absent)} here; there are {there}")
    return [str(device) for device in chosen]


@contextmanager
def lease_devices(
    kind: str, ids: Sequence[str], count: int, *, waiting: Callable[[], None]
) -> Iterator[DeviceLease]:
    """Lease ``count`` free devices out of ``ids`` until the end of the block, and wait while there are fewer.

    All sweeps of this user on this machine share one table of leases, so two of them never meet on one GPU.
    ``waiting`` is called every second and once more before the lease is handed out: devices also become free
    when a whole sweep is killed, and what is left of that sweep must not take them, so ``waiting`` raises
    where there is nothing to do any more.
    """
    if kind == "none":
        yield DeviceLease()
        return
    table = table_of_locks()
    with ExitStack() as stack:
        while (lease := _take(table, kind, ids, count)) is None:
            waiting()
            time.sleep(1.0)
        for lock in lease.locks:
            stack.enter_context(lock)
        waiting()
        with _affinity(lease):
            yield lease


def table_of_locks() -> Path:
    """Return the folder in which all sweeps of this user on this machine lock devices.

    Raises:
        InputError: none of the possible folders can be written, or they belong to others.
    """
    own = f"deepmatte-{os.getuid()}"
    try:
        places = [Path(tempfile.gettempdir()) / own]
    except FileNotFoundError:  # no temporary folder can be written
        places = []
    tried = [
        *places,
        Path(os.environ.get("XDG_RUNTIME_DIR") or "/run/user") / own,
        Path.home() / ".cache" / own,
    ]
    table = own_folder(tried)
    if table is None:
        raise InputError(
            f"{tried[0]}: not yours, or not writable; "
            "set TMPDIR to a folder of your own, or sweep.devices=null"
        )
    return table


def _take(table: Path, kind: str, ids: Sequence[str], count: int) -> DeviceLease | None:
    """Take all of ``count`` devices or none, one process at a time: two with half each would deadlock."""
    turn = acquire(table, "turn.lock")
    if turn is None:
        return None
    with turn:
        taken: dict[str, Lock] = {}
        for device in ids:
            if len(taken) < count and (lock := acquire(table, f"{kind}-{device}.lock")) is not None:
                taken[device] = lock
        if len(taken) == count:
            return DeviceLease(kind, tuple(taken), tuple(taken.values()))
        for lock in taken.values():
            lock.release()
    return None


@contextmanager
def _affinity(lease: DeviceLease) -> Iterator[None]:
    """Bind this thread, and so the children that it starts, to the cores of ``lease``."""
    if lease.kind != "cpu" or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core) for core in lease.ids})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
