"""Clocks that jump: hours back and years ahead, while runs train and sweeps are carried out.

Where libfaketime is installed, whole processes see another time, a jump of a random length in the middle of
their work; elsewhere the run's own calls of ``time.time`` and the times of its files are changed. What a run
leaves has to be equal, a sweep has to see its own jobs, and caches may not take an old picture for a new one.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from interrupting import Instant

from campaigns.campaign import Tally, parser, rounds, scratch
from campaigns.killed_runs import FaultError, Singles, check_equal
from campaigns.killed_sweeps import SweepsOfStubs
from deepmatte.data.sources.images import write_png

JUMPS = (-366 * 86400, -86400, -3600, -61, -1, 1, 61, 3600, 86400, 10 * 366 * 86400)
FAKETIME = "libfaketime.so.1"


@dataclass(frozen=True)
class Jump(Instant):
    """The clock of a run's process jumps, and the files that it has written seem to be of that time."""

    seconds: float = 0.0
    folder: str = ""

    def strike(self) -> None:
        """Change the clock, and the times of the files in the folder."""
        original = time.time

        def jumped() -> float:
            return original() + self.seconds

        mock.patch("time.time", jumped).start()
        for file in Path(self.folder).rglob("*"):
            if file.is_file() and not file.is_symlink():
                os.utime(file, (jumped(), jumped()))


class Jumping(Singles):
    """Runs whose clock jumps, then whose kill is resumed under another jump."""

    def attack(self, rng: random.Random, tally: Tally, most: int) -> None:
        """Let the clock jump in a run that is killed, and in the one that resumes it."""
        variant = rng.choice(("plain", "average", "stages"))
        whole, calls = self.uninterrupted(variant)
        home = self.home / "try"
        shutil.rmtree(home, ignore_errors=True)
        hooks = sorted(hook for hook in calls if not hook.startswith(("ArrayFolder", "Tracker")))
        first, kill, second = (rng.choice(hooks) for _ in range(3))
        cache = whole.parent / "cache"
        jumps = [
            Jump(hook, 1, seconds=rng.choice(JUMPS), folder=str(home / "run")) for hook in (first, second)
        ]
        tally.tried["runs"] += 1
        self.start(home / "run", variant, cache, jumps[0], Instant(kill, calls[kill], "after", "SIGKILL"))
        code = self.start(home / "run", variant, cache, jumps[1])
        if code:
            raise FaultError(f"the run ends with {code}: {(home / 'log.txt').read_text()[-500:]}")
        check_equal(whole, home / "run", cache)
        tally.ended["equal"] += 1


def sweep(tally: Tally, home: Path, rng: random.Random) -> None:
    """Carry a sweep out whose launcher's clock jumps, or whose processes all live in another time."""
    stubs = SweepsOfStubs(home / "sweep", "sweep")
    jump = rng.choice(JUMPS)
    library = faketime()
    environment = {"LD_PRELOAD": library, "FAKETIME": f"{jump:+d}"} if library else {}
    process = stubs.box.start(*stubs.words, **environment)
    while process.poll() is None and not environment:
        time.sleep(0.3)
        for file in (stubs.box.home / "runs").rglob("job.json"):
            os.utime(file, (time.time() + jump,) * 2)
    output = process.communicate(timeout=1200)[0]
    tally.tried["sweeps under libfaketime" if library else "sweeps"] += 1
    if process.returncode != 0 or "cost" not in output:
        raise FaultError(
            f"after a jump of {jump} s the sweep ends with {process.returncode}: {output[-800:]}"
        )
    tally.ended["all jobs seen"] += 1


def picture(tally: Tally, home: Path, rng: random.Random) -> None:
    """Change a picture under a clock that has jumped; the cache has to decode it again."""
    from deepmatte.data.cache.cached_sets import picture_key
    from deepmatte.data.sources.protocols import Origin

    file = home / "a.png"
    write_png(file, np.zeros((9, 9), np.uint8))
    before = picture_key(Origin((file,), ""))
    write_png(file, np.full((9, 9), rng.randrange(1, 256), np.uint8))
    os.utime(file, (time.time() + rng.choice(JUMPS),) * 2)
    tally.tried["pictures"] += 1
    if picture_key(Origin((file,), "")) == before:
        raise FaultError("a changed picture has the key of the one before")
    tally.ended["decoded again"] += 1


def faketime() -> str | None:
    """Return the path of libfaketime, or None where it is not installed."""
    places = [*Path("/usr/lib").glob(f"*/faketime/{FAKETIME}"), *Path("/usr/lib/faketime").glob(FAKETIME)]
    return str(places[0]) if places else None


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options = parser("clocks", str(__doc__), 9, "jumps").parse_args(argv)
    tally = Tally.of("clocks", "jumps", options)
    import deepmatte.training.run  # noqa: F401  # once, for all forks

    with scratch() as place:
        runs = Jumping(place / "runs")
        for number, _ in rounds(options):
            rng = random.Random(options.seed * 1_000_003 + number)
            home = place / str(number)
            home.mkdir()
            deeds: tuple[Callable[[], None], ...] = (
                lambda r=rng: runs.attack(r, tally, 1),
                lambda h=home, r=rng: picture(tally, h, r),
                lambda h=home, r=rng: sweep(tally, h, r),
            )
            try:
                deeds[number % 3]()
            except FaultError as fault:
                again = f"python -m campaigns.clocks --seed {options.seed} --count {number + 1}"
                tally.fault(str(fault)[:60], f"{fault}\n{again}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
