"""Jobs of a cluster that are several tasks, started by srun on one node or more: the first leads, the others follow.

With one task, the job starts its ranks by itself and must not look like a step of Slurm to Lightning. With
several, every task starts one rank, which Lightning's own Slurm environment joins; only the first task
decides, locks and writes. They speak through files in the launcher's folder of the job, which the nodes
share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepmatte.files import write_text
from deepmatte.runs.directory import OUTPUT_FILE
from deepmatte.runs.locks import INHERITED
from deepmatte.runs.parent_watch import PARENT
from deepmatte.sweeps.process import Stop, Stopper, deadline, run_tree

PATIENCE_MINUTES = 0.5
"""How long the others get to fail by themselves after one task has failed."""

_STEP = (
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_STEP_ID",
)


def is_group(environment: Mapping[str, str]) -> bool:
    """Say whether this process is one of several tasks of a Slurm step.

    >>> is_group({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}), is_group({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"})
    (True, False)
    """
    return "SLURM_PROCID" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1


def ungrouped(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a job's first process: a task that is alone starts its ranks as on any machine."""
    return {key: value for key, value in environment.items() if is_group(environment) or key not in _STEP}


@dataclass
class Tasks:
    """This task among those of its job; alone on anything but a cluster."""

    folder: Path
    rank: int = 0
    size: int = 1
    step: str = ""
    _failed_since: float | None = None

    @classmethod
    def here(cls, folder: Path) -> Tasks:
        """Return the place of this process, as Slurm tells it."""
        if not is_group(os.environ):
            return cls(folder)
        step = f"{os.environ['SLURM_JOB_ID']}-{os.environ.get('SLURM_STEP_ID', '0')}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"
        return cls(folder, int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]), step)

    @property
    def follows(self) -> bool:
        """Whether another task leads."""
        return self.rank > 0

    def decide(self, start: bool) -> None:
        """Tell the others, once, whether the job is to be started."""
        if self.size > 1 and not self._file("decision").exists():
            write_text(self._file("decision"), "start" if start else "skip")

    def end(self) -> None:
        """Tell the others that the leader's process has ended."""
        if self.size > 1:
            write_text(self._file("ended"), "ended")

    def failed_elsewhere(self) -> Stop | None:
        """Return why the leader's rank has to end: another's has failed, and this one had time to notice."""
        if self.size == 1:
            return None
        failed = next(iter(sorted(self.folder.glob(f"tasks-{self.step}-failed-*"))), None)
        if failed is None:
            return None
        self._failed_since = self._failed_since or time.monotonic()
        late = time.monotonic() - self._failed_since > 60 * PATIENCE_MINUTES
        return (
            Stop("failed", f"rank {failed.name.rpartition('-')[2]}: {failed.read_text().strip()}")
            if late
            else None
        )

    def follow(self, command: Sequence[str], run: Path, stopped: Stopper) -> None:
        """Start this task's rank if the leader says so, and end it with the leader's."""
        while not self._file("decision").exists():
            if stopped():
                return
            time.sleep(0.2)
        if self._file("decision").read_text() != "start":
            return
        late: list[Stopper] = []

        def leader_ended() -> Stop | None:
            if not late and self._file("ended").exists():
                late.append(deadline(PATIENCE_MINUTES))
            return late[0]() if late else None

        environment = os.environ | {PARENT: str(os.getpid()), INHERITED: str(run.resolve())}
        log = run / f"output.rank{self.rank}.log"
        ended = run_tree(command, log, environment, stop=lambda: stopped() or leader_ended())
        if ended.code != 0:
            write_text(self._file(f"failed-{self.rank}"), ended.reason().replace(OUTPUT_FILE, log.name))

    def _file(self, what: str) -> Path:
        return self.folder / f"tasks-{self.step}-{what}"
