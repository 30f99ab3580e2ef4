"""Disks that are full, small, read-only or gone, quotas and file systems without locks, at random instants.

Each try is a run whose disk fails at a random call of a random hook. It must end in one line and leave
nothing half-written; once there is room again, the same command has to end in what an undisturbed run leaves.
Small and read-only disks are mounted, which takes root; elsewhere only errors of the system are injected.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import resource
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from disks import fill, read_only, small_disk
from interrupting import Instant

from campaigns.campaign import Tally, parser, rounds, scratch
from campaigns.killed_runs import FaultError, Singles, check_clean, check_equal

SIZE = "24m"
"""A disk that holds one run, its checkpoints twice, and little more."""


@dataclass(frozen=True)
class Deed(Instant):
    """Something else than a signal, done at an instant in the process of the run."""

    deed: Callable[[], object] = print

    def strike(self) -> None:
        """Do it."""
        self.deed()


def limited() -> None:
    """Let no file grow any more: writing is EFBIG."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def refusing(number: int) -> Callable[[], None]:
    """Return what makes every write to the disk fail with an error, as a quota or a broken disk does."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def begin() -> None:
        mock.patch("os.fsync", refuse).start()
        mock.patch("pathlib.Path.replace", refuse).start()

    return begin


def without_locks() -> None:
    """Make ``flock`` fail, as some network file systems do."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl.flock = refuse  # type: ignore[assignment]


INJECTED: dict[str, Callable[[], object]] = {
    "EFBIG": limited,
    "quota (EDQUOT)": refusing(errno.EDQUOT),
    "broken (EIO)": refusing(errno.EIO),
    "full (ENOSPC)": refusing(errno.ENOSPC),
    "no flock": without_locks,
}
MOUNTED = ("small disk", "read-only")
PASSES = ("no flock",)
"""What a run has to go through as if nothing were."""


class Disturbed(Singles):
    """Runs whose disk fails."""

    def attack(self, rng: random.Random, tally: Tally, most: int) -> None:
        """Disturb a run, repeat it, and compare what it ends in."""
        kind = rng.choice([*INJECTED, *(MOUNTED if os.geteuid() == 0 else ())])
        variant = rng.choice(("plain", "average", "workers"))
        whole, calls = self.uninterrupted(variant)
        hooks = sorted(hook for hook in calls if not hook.startswith(("ArrayFolder", "Tracker")))
        hook = rng.choice(hooks)
        call, when = rng.randint(1, calls[hook]), rng.choice(("before", "after"))
        home = self.home / "try"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        cache = whole.parent / "cache"
        tally.tried[kind] += 1
        if kind in INJECTED:
            code = self.start(home / "run", variant, cache, Deed(hook, call, when, deed=INJECTED[kind]))
        elif kind == "small disk":
            with small_disk(home / "disk", SIZE) as disk:
                leave = rng.choice((0, 0, 4096, 100_000, 1_000_000))
                deed = Deed(hook, call, when, deed=lambda: fill(disk, leave))
                code = self.start(disk / "run", variant, cache, deed, log=home / "log.txt")
                check_clean(disk)
                (disk / "ballast").unlink(missing_ok=True)
                self._ends(disk / "run", variant, cache, whole, home / "log.txt")
                tally.ended["one line, then equal" if code else "equal"] += 1
                return
        else:
            self.start(home / "run", variant, cache, Instant(hook, call, when, "SIGKILL"))
            with read_only(home / "run"):
                code = self.start(home / "run", variant, cache, log=home / "log.txt")
            if not code:
                tally.ended["finished before"] += 1
                return
        if code and kind in PASSES:
            raise FaultError(f"{kind}: the run ends with {code}: {(home / 'log.txt').read_text()[-500:]}")
        self._ends(home / "run", variant, cache, whole, home / "log.txt")
        tally.ended["one line, then equal" if code else "equal"] += 1

    def _ends(self, run: Path, variant: str, cache: Path, whole: Path, log: Path) -> None:
        text = log.read_text(errors="replace") if log.exists() else ""
        if "Traceback" in text:
            raise FaultError(f"a traceback: {text[-2000:]}")
        if self.start(run, variant, cache, log=log) != 0:
            raise FaultError("the run does not end once there is room")
        check_equal(whole, run, cache)


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options = parser("disks", str(__doc__), 20, "disks").parse_args(argv)
    tally = Tally.of("disks", "disks", options)
    import deepmatte.training.run  # noqa: F401  # once, for all forks

    with scratch() as place:
        runs = Disturbed(place)
        for number, _ in rounds(options):
            rng = random.Random(options.seed * 1_000_003 + number)
            try:
                runs.attack(rng, tally, 1)
            except FaultError as fault:
                again = f"python -m campaigns.disks --seed {options.seed} --count {number + 1}"
                tally.fault(str(fault)[:60], f"{fault}\n{again}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
