"""What a process learns from the one that started it: one typed record, in one environment variable.

The environment is the only channel that every launcher passes on: Hydra's own, joblib's workers, submitit,
Slurm and Lightning's ranks. ``docs/processes.md`` draws which process sets which field. No torch here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from deepmatte.errors import InputError

CONTEXT = "DEEPMATTE_CONTEXT"
"""The environment variable; only sweeps and studies set it, never a user."""


@dataclass(frozen=True)
class LauncherContext:
    """The launcher of a sweep: its host, its process, and the file that appears when it was asked to stop."""

    host: str
    pid: int
    stop_file: str


@dataclass(frozen=True)
class SweepContext:
    """What this process inherits; every field is None in a process that a user started.

    Attributes:
        parent: the process whose end ends this one.
        run: the run directory, resolved, whose lock the parent holds for this process.
        launcher: the launcher of the sweep that this process belongs to.
        gpus: ids of the launcher's GPUs, where the launcher hides them from its jobs.
        orders: the file descriptor of the socket over which this process is told to fork jobs.
    """

    parent: int | None = None
    run: str | None = None
    launcher: LauncherContext | None = None
    gpus: tuple[str, ...] | None = None
    orders: int | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> SweepContext:
        """Return the context of this process, or the one in ``environment``.

        Raises:
            InputError: the variable holds something else.
        """
        text = (os.environ if environment is None else environment).get(CONTEXT)
        if text is None:
            return cls()
        try:
            return _from_plain(json.loads(text))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{CONTEXT}: not a context that deepmatte wrote "
                f"({' '.join(str(error).split())[:80]}); unset it"
            ) from None

    def environment(self) -> dict[str, str]:
        """Return the variable for a process to be started, whatever context this process has itself.

        >>> SweepContext.read(SweepContext(parent=7).environment()).parent
        7
        """
        return {CONTEXT: json.dumps(asdict(self))}

    def publish(self) -> None:
        """Make this the context of this process, and of all that it starts from now on."""
        if self == SweepContext():
            os.environ.pop(CONTEXT, None)
        else:
            os.environ.update(self.environment())

    def but(self, **changes: Any) -> SweepContext:
        """Return a copy with other values of some fields.

        >>> SweepContext(parent=7, run="/runs/a").but(parent=None)
        SweepContext(parent=None, run='/runs/a', launcher=None, gpus=None, orders=None)
        """
        return replace(self, **changes)


def _from_plain(found: Any) -> SweepContext:
    """Return the context of what JSON holds; TypeError where keys or types differ."""
    if not isinstance(found, dict) or set(found) - {field.name for field in fields(SweepContext)}:
        raise TypeError("other keys")
    context = SweepContext(**found)
    if context.launcher is not None:
        context = context.but(launcher=LauncherContext(**found["launcher"]))
    if context.gpus is not None:
        context = context.but(gpus=tuple(map(str, context.gpus)))
    numbers = context.parent, context.orders
    if not all(isinstance(number, int | None) for number in numbers) or not isinstance(
        context.run, str | None
    ):
        raise TypeError("other types")
    return context
