"""Kills at random instants, and the same command again: what is left is what an uninterrupted run leaves.

A try is a run (or a sweep) that is killed up to three times and then let go to its end. Ctrl-C, SIGTERM and
SIGKILL come at a random call of a random hook, or up to 50 ms after it: in a forward or backward pass, an
optimiser step, validation, the writing of a checkpoint, the scoring of the test split, the drawing of the
embedded data, the start of W&B. Weights, buffers, optimiser, ``metrics.csv``, ``per_image.csv``,
``result.json`` and the files that are there have to be equal; no process, lock or half-written file may stay.

``single`` runs in a forked process, ``ddp`` as two processes that talk through gloo, ``sweep`` and ``joblib``
as whole sweeps in which training is a stub that folds its steps into "weights".
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from contextlib import suppress
from pathlib import Path

from campaigns.campaign import Tally, parser, rounds, scratch
from campaigns.killed_runs import FaultError, Pairs, Singles
from campaigns.killed_sweeps import SweepsOfStubs

MODES = ("single", "ddp", "sweep", "joblib")
SHARES = {"single": 12, "ddp": 1, "sweep": 2, "joblib": 2}
"""How often each mode gets a turn: a try of two processes takes as long as ten of a forked one."""
MOST_KILLS = 3


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options_of = parser("kills", str(__doc__), 50, "kills")
    options_of.add_argument("--mode", choices=MODES, action="append", help="this mode alone")
    options = options_of.parse_args(argv)
    tally = Tally.of("kills", "kills", options)
    with scratch() as home:
        made: dict[str, Singles | Pairs | SweepsOfStubs] = {}
        modes = [mode for mode in (options.mode or MODES) for _ in range(SHARES[mode])]
        random.Random(options.seed).shuffle(modes)
        with suppress(KeyboardInterrupt):
            for number, _ in rounds(argparse.Namespace(minutes=options.minutes, count=10**9)):
                if options.minutes is None and tally.tried.total() >= options.count:
                    break
                mode = modes[number % len(modes)]
                attacker = made[mode] = made.get(mode) or _made(mode, home)
                rng = random.Random(options.seed * 1_000_003 + number)
                _try(attacker, rng, tally, mode, number)
    return tally.finish()


def _made(mode: str, home: Path) -> Singles | Pairs | SweepsOfStubs:
    if mode == "single":
        import deepmatte.training.run  # noqa: F401  # once, for all forks

        return Singles(home / mode)
    return Pairs(home / mode) if mode == "ddp" else SweepsOfStubs(home / mode, mode)


def _try(
    attacker: Singles | Pairs | SweepsOfStubs, rng: random.Random, tally: Tally, mode: str, number: int
) -> None:
    """Carry out one try and count what it shows."""
    before = tally.tried.total()
    try:
        attacker.attack(rng, tally, MOST_KILLS)
    except FaultError as fault:
        again = f"python -m campaigns.kills --mode {mode} --seed {tally.seed}  # try {number}"
        tally.fault(f"{mode}: {str(fault)[:60]}", f"{fault}\n{again}", attacker.home)
    else:
        tally.ended["equal ends"] += 1
    print(f"  try {number} ({mode}): {tally.tried.total() - before} kills", file=sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("WANDB_MODE", "offline")
    sys.exit(main(sys.argv[1:]))
