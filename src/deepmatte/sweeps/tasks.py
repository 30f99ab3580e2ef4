"""Cluster jobs of several tasks, which srun starts on one or more nodes: the first leads, the others follow.

A job of one task starts its ranks itself, so Lightning must not take it for a Slurm step. With several
tasks, each starts one rank, and Lightning's own Slurm environment joins them; only the first task decides,
locks and writes. The tasks communicate through files in the launcher's folder of the job, which the nodes
share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepmatte.files import write_text
from deepmatte.runs.context import SweepContext
from deepmatte.runs.directory import OUTPUT_FILE
from deepmatte.sweeps.process import Stop, Stopper, deadline, run_tree

PATIENCE_MINUTES = 0.5
"""How long the others have to fail on their own after one task failed; then they are ended."""

_STEP = (
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_STEP_ID",
)


def is_group(environment: Mapping[str, str]) -> bool:
    """Return whether this process is one of several tasks of a Slurm step.

    >>> [is_group({"SLURM_NTASKS": tasks, "SLURM_PROCID": "0"}) for tasks in ("2", "1")]
    [True, False]
    """
    return "SLURM_PROCID" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1


def ungrouped(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a job's first process; a single task starts its ranks as anywhere."""
    return {key: value for key, value in environment.items() if is_group(environment) or key not in _STEP}


@dataclass
class Tasks:
    """This task among those of its job; outside a cluster it is the only one."""

    folder: Path
    rank: int = 0
    size: int = 1
    step: str = ""
    _failed_since: float | None = None

    @classmethod
    def here(cls, folder: Path) -> Tasks:
        """Return this process's place among the tasks, from Slurm's variables."""
        if not is_group(os.environ):
            return cls(folder)
        parts = (
            os.environ["SLURM_JOB_ID"],
            os.environ.get("SLURM_STEP_ID", "0"),
            os.environ.get("SLURM_RESTART_COUNT", "0"),
        )
        return cls(folder, int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]), "-".join(parts))

    @property
    def follows(self) -> bool:
        """Whether another task leads."""
        return self.rank > 0

    def decide(self, start: bool) -> None:
        """Let the others know, once, whether to start the job."""
        if self.size > 1 and not self._file("decision").exists():
            write_text(self._file("decision"), "start" if start else "skip")

    def end(self) -> None:
        """Let the others know that the leader's process has ended."""
        if self.size > 1:
            write_text(self._file("ended"), "ended")

    def failed_elsewhere(self) -> Stop | None:
        """Return why the leader's rank has to end: another one failed, and this one had time to notice."""
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

        environment = (
            os.environ | SweepContext.read().but(parent=os.getpid(), run=str(run.resolve())).environment()
        )
        log = run / f"output.rank{self.rank}.log"
        ended = run_tree(command, log, environment, stop=lambda: stopped() or leader_ended())
        if ended.code != 0:
            write_text(self._file(f"failed-{self.rank}"), ended.reason().replace(OUTPUT_FILE, log.name))

    def _file(self, what: str) -> Path:
        return self.folder / f"tasks-{self.step}-{what}"
