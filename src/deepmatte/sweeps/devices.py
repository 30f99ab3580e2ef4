"""Devices dealt out: jobs that run side by side on one machine each see GPUs, or cores, of their own."""

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

from omegaconf import DictConfig

from deepmatte.errors import InputError
from deepmatte.files import own_folder
from deepmatte.runs.locks import Lock, acquire

SEQUENTIAL, SIDE_BY_SIDE, CLUSTER = (
    ("BasicLauncher",),
    ("JoblibLauncher", "LocalLauncher"),
    ("SlurmLauncher",),
)
"""Hydra's launchers by what becomes of the devices: one job at a time, several on this machine, those of a cluster."""


GPUS = "DEEPMATTE_GPUS"
"""Environment variable with the GPUs of the launcher, for jobs of submitit's local executor, which hides them from its jobs."""


@dataclass(frozen=True)
class DeviceLease:
    """What a job was dealt: ``kind`` is gpu, cpu, or none where it sees the whole machine."""

    kind: str = "none"
    ids: tuple[str, ...] = ()
    locks: tuple[Lock, ...] = field(default=(), repr=False)

    def environment(self, processes: int) -> dict[str, str]:
        """Return the variables that show a job of so many processes its own devices, and no others."""
        if self.kind == "gpu":
            return {"CUDA_VISIBLE_DEVICES": ",".join(self.ids)}
        if self.kind == "cpu":
            threads = max(1, len(self.ids) // processes)
            return {
                "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
                "CUDA_VISIBLE_DEVICES": "",
            }
        return {"CUDA_VISIBLE_DEVICES": os.environ[GPUS]} if GPUS in os.environ else {}

    def __str__(self) -> str:
        return f" on {self.kind} {','.join(self.ids)}" if self.ids else ""


def launcher_name(hydra: DictConfig) -> str:
    """Return the class of the launcher, such as JoblibLauncher."""
    return str(hydra.launcher._target_).rpartition(".")[2]


def gpus() -> list[str]:
    """Return the ids of the GPUs that this process may use, without loading CUDA."""
    visible = os.environ.get(GPUS, os.environ.get("CUDA_VISIBLE_DEVICES"))
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
    """Say whether the run takes GPUs here."""
    accelerator = str(config.trainer.accelerator)
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and bool(gpus()))


def processes(config: DictConfig) -> int:
    """Return how many processes the run has on a node; 1 where it takes whatever there is."""
    devices = config.trainer.devices
    return devices if isinstance(devices, int) and devices > 0 else max(1, len(named(config)))


def named(config: DictConfig) -> list[str]:
    """Return the devices that the run names by itself, as in ``trainer.devices=[0,1]``; none where it says how many."""
    devices = config.trainer.devices
    if isinstance(devices, str):
        devices = devices.split(",") if "," in devices else []
    return (
        [str(device).strip() for device in devices if str(device).strip()]
        if isinstance(devices, Sequence)
        else []
    )


def parallel_jobs(hydra: DictConfig) -> int:
    """Return how many jobs the launcher runs at once."""
    name, launcher = launcher_name(hydra), hydra.launcher
    if name == "JoblibLauncher":
        count = int(launcher.n_jobs)
        if count == 0:
            raise InputError("hydra.launcher.n_jobs=0: give how many jobs run at once, or -1 for one a core")
        return count if count > 0 else max(1, len(cores()) + 1 + count)
    if name in CLUSTER:
        return int(launcher.array_parallelism)
    if name == "LocalLauncher":
        return max(1, len(cores()) // int(launcher.cpus_per_task or 1))
    return 1


def demand(config: DictConfig, hydra: DictConfig) -> tuple[str, list[str], int]:
    """Return the kind of device that a job is dealt, the ids there are, and how many it takes; ``none`` where nothing is dealt.

    Raises:
        InputError: the job takes more GPUs than there are, or ``sweep.devices`` can't be used.
    """
    wanted, chosen = processes(config), config.sweep.devices
    if launcher_name(hydra) in CLUSTER:
        return "none", [], 0
    if uses_gpus(config):
        kind, ids, count = "gpu", gpus(), wanted
    else:
        kind, ids = "cpu", cores()
        count = max(1, len(ids) // parallel_jobs(hydra))
        if launcher_name(hydra) == "LocalLauncher":
            count = int(hydra.launcher.cpus_per_task or 1)
    if chosen not in (None, "auto"):
        if not isinstance(chosen, Sequence) or isinstance(chosen, str):
            raise InputError(f"sweep.devices={chosen}: give auto, null or a list of ids such as [0,1]")
        absent = [str(device) for device in chosen if str(device) not in ids]
        if absent:
            raise InputError(
                f"sweep.devices: there is no {kind} {', '.join(absent)} here; there are {', '.join(ids) or 'none'}"
            )
        ids = [str(device) for device in chosen]
    if count > len(ids):
        raise InputError(
            f"trainer.devices={config.trainer.devices}: more than the {len(ids)} {kind} devices that a job can have here; lower it"
        )
    dealt = chosen is not None and launcher_name(hydra) in SIDE_BY_SIDE
    if absent := [device for device in named(config) if dealt or device not in map(str, range(len(ids)))]:
        raise InputError(
            f"trainer.devices={config.trainer.devices}: "
            + ("" if dealt else f"there is no {kind} {', '.join(absent)} here; ")
            + "say how many a job takes, as in trainer.devices=2; which ones there are to take is sweep.devices=[0,1]"
        )
    return (kind, ids, count) if dealt else ("none", [], 0)


@contextmanager
def lease_devices(
    kind: str, ids: Sequence[str], count: int, *, waiting: Callable[[], None]
) -> Iterator[DeviceLease]:
    """Give ``count`` free devices out of ``ids``, and wait while there are fewer; ``waiting`` is called every second, and at the end.

    Every sweep of this user on this machine takes part, so two of them don't meet on one GPU either. Devices
    also get free where a whole sweep is killed: whoever waits for them in what is left of it must ask whether
    there still is something to do.
    """
    if kind == "none":
        yield DeviceLease()
        return
    table = table_of_locks()
    with ExitStack() as stack:
        while True:
            hand = _take(table, kind, ids, count)
            if hand is not None:
                break
            waiting()
            time.sleep(1.0)
        for lock in hand.locks:
            stack.enter_context(lock)
        waiting()
        with _affinity(hand):
            yield hand


def table_of_locks() -> Path:
    """Return the folder in which this user's sweeps on this machine lock devices; the same one for all of them.

    Raises:
        InputError: none of the places for it can be used, or they belong to others.
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
            f"{tried[0]}: is not yours, or can't be written; set TMPDIR to a folder of your own, or sweep.devices=null"
        )
    return table


def _take(table: Path, kind: str, ids: Sequence[str], count: int) -> DeviceLease | None:
    """Take all of ``count`` devices or none, one process at a time: two that each hold half would wait for ever."""
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
def _affinity(hand: DeviceLease) -> Iterator[None]:
    """Bind this thread, and thereby the children that it starts, to the cores of ``hand``."""
    if hand.kind != "cpu" or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core) for core in hand.ids})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
