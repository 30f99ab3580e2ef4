"""Processes side by side: 20 readers and 4 writers of one cache, 24 for one lock, two launchers of a sweep.

A reader sees a whole item or none, whatever writers and the one that makes room do meanwhile; a lock has one
holder at a time; two launchers of one sweep make each step of each run once, and both end well.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from campaigns.campaign import Tally, parser, rounds, scratch
from campaigns.isolation import Ended, isolated
from campaigns.killed_runs import FaultError
from campaigns.killed_sweeps import SweepsOfStubs
from deepmatte.data.cache.arrays import ArrayFolder
from deepmatte.files import ASIDE
from deepmatte.runs.locks import acquire

READERS, WRITERS, KEYS = 20, 4, 6
SECONDS = 120.0


def together(works: list[Callable[[], int]]) -> list[int]:
    """Carry out works in processes of their own, side by side, and return what each has counted."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(works)) as pool:
        ended: list[Ended] = list(pool.map(lambda work: isolated(lambda beat: work(), SECONDS), works))
    if failed := [one for one in ended if not one.is_well]:
        raise FaultError(f"{len(failed)} of {len(works)} processes fail: {failed[0]}")
    return [one.result for one in ended]


# ---- the cache ---------------------------------------------------------------------------------------------


def read_and_write(tally: Tally, home: Path, seconds: float) -> None:
    """Let readers, writers and one that makes room work in one folder for so long."""
    folder = ArrayFolder(home / "cache")
    works = [lambda n=n: _write(folder, n, seconds) for n in range(WRITERS)]
    works += [lambda n=n: _read(folder, n, seconds) for n in range(READERS)]
    works.append(lambda: _make_room(folder, seconds))
    counts = together(works)
    tally.tried["writings"] += sum(counts[:WRITERS])
    tally.tried["readings"] += sum(counts[WRITERS:-1])
    tally.ended["whole or none"] += sum(counts[WRITERS:-1])
    if litter := list(folder.folder.glob(f".*{ASIDE}")):
        raise FaultError(f"litter: {litter[0].name}")


def _write(folder: ArrayFolder, number: int, seconds: float) -> int:
    rng, end, count = random.Random(number), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        value = rng.randrange(256)
        side = rng.randrange(40, 400)
        alpha = np.full((side, side), value, np.uint8)
        folder.write(f"k{rng.randrange(KEYS)}", {"alpha": alpha, "sum": np.array([value * side * side])})
        count += 1
    return count


def _read(folder: ArrayFolder, number: int, seconds: float) -> int:
    rng, end, count = random.Random(1000 + number), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        found = folder.read(f"k{rng.randrange(KEYS)}", mapped=rng.random() < 0.5)
        if found is not None and int(found["alpha"].sum(dtype=np.int64)) != int(found["sum"][0]):
            raise FaultError("a reader saw half of an item")
        count += 1
    return count


def _make_room(folder: ArrayFolder, seconds: float) -> int:
    rng, end = random.Random(9), time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            folder.path(f"k{rng.randrange(KEYS)}").unlink()
        time.sleep(0.01)
    return 0


# ---- locks -------------------------------------------------------------------------------------------------


def contend(tally: Tally, home: Path, seconds: float) -> None:
    """Let processes want the lock of one directory; each holder leaves a file that no other may see."""
    counts = together([lambda: _want(home / "run", seconds) for _ in range(READERS + WRITERS)])
    tally.tried["locks"] += sum(counts)
    tally.ended["one holder"] += sum(counts)


def _want(run: Path, seconds: float) -> int:
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        lock = acquire(run)
        if lock is None:
            continue
        with lock:
            descriptor = os.open(run / "held", os.O_CREAT | os.O_EXCL)  # fails where another holds it
            os.close(descriptor)
            (run / "held").unlink()
            count += 1
    return count


# ---- two launchers -----------------------------------------------------------------------------------------


def launch_twice(tally: Tally, home: Path, rng: random.Random) -> None:
    """Start one sweep by two launchers, the second a moment later."""
    from stub_training import weights_after

    mode = rng.choice(("sweep", "joblib"))
    sweep = SweepsOfStubs(home / "sweep", mode)
    processes = [sweep.box.start(*sweep.words)]
    time.sleep(rng.uniform(0, 6))
    processes.append(sweep.box.start(*sweep.words))
    outputs = [process.communicate(timeout=1200)[0] for process in processes]
    tally.tried[f"launchers ({mode})"] += 2
    codes = [process.returncode for process in processes]
    if codes != [0, 0]:
        raise FaultError(f"the launchers end with {codes}: {outputs[codes[0] == 0][-1500:]}")
    if twice := [step for step, count in sweep.box.steps().items() if count != 1]:
        raise FaultError(f"steps were not made once: {twice}")
    if sorted(sweep.box.weights().values()) != sorted(weights_after(6, seed, 1e-3) for seed in (0, 1, 2)):
        raise FaultError("other weights")
    tally.ended["each step once"] += 2


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options_of = parser("concurrency", str(__doc__), 3, "rounds")
    options_of.add_argument("--seconds", type=float, default=5.0, help="of each race (default: 5)")
    options = options_of.parse_args(argv)
    tally = Tally.of("concurrency", "acts", options)
    for number, _ in rounds(options):
        rng = random.Random(options.seed * 1_000_003 + number)
        with scratch() as home:
            for race in (
                lambda h=home: read_and_write(tally, h, options.seconds),
                lambda h=home: contend(tally, h, options.seconds),
                lambda h=home, r=rng: launch_twice(tally, h, r),
            ):
                try:
                    race()
                except FaultError as fault:
                    tally.fault(
                        str(fault)[:60], f"{fault}\npython -m campaigns.concurrency --seed {options.seed}"
                    )
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
