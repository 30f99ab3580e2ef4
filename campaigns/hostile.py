"""Run directories of strangers, to every verb: nothing in them is executed, or written elsewhere.

The attacks are data: those of ``tests/hostile.py`` at places drawn by the seed, links that lead out of the
directory, names that a page, a terminal or a spreadsheet would obey, archives that unpack to more than the
memory. Each is carried out in a process of its own that may not open a connection; it must end in one line.
"""

from __future__ import annotations

import io
import os
import random
import socket
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from hostile import SECRET, Trap

from campaigns.campaign import Tally, kind_of, parser, rounds, scratch
from campaigns.hostile_runs import (
    VICTIM,
    Prepare,
    a_checkpoint,
    a_link,
    a_target_somewhere,
    a_text,
    names_that_are_code,
)
from campaigns.hostile_verbs import VERBS
from campaigns.isolation import isolated
from deepmatte.errors import InputError, RunError, one_line

SECONDS = 60.0
"""Processor time that one attack may take."""

MORE_MB = 4096
"""Address space that it may take beside what this process has."""

TRAINED = ("evaluate", "predict", "resume", "repeat")
PLANS: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    "targets": (a_target_somewhere, TRAINED),
    "texts": (a_text, (*TRAINED, "compare", "status")),
    "checkpoints": (a_checkpoint, TRAINED),
    "links": (a_link, (*TRAINED, "compare")),
    "names": (names_that_are_code, ("compare", "status")),
}


def attempt(plan: str, seed: int, folder: Path) -> tuple[str, str]:
    """Carry out one attack; return how it ended, or the kind of fault and what happened."""
    rng = random.Random(seed)
    prepare, verbs = PLANS[plan]
    verb = rng.choice(verbs)
    trap = Trap(folder)
    sys.path.insert(0, str(folder))
    os.environ["SECRET_TOKEN"] = SECRET
    os.environ["DEEPMATTE_ALLOWED_TARGETS"] = rng.choice(("", "trusted."))
    os.chdir(folder)
    calls = _without_network()
    run = prepare(trap, rng)
    printed = io.StringIO()
    how, told = "passed", ""
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            VERBS[verb](run)
    except (InputError, RunError) as error:
        how = "refused in one line"
        if "\n" in str(error) or len(str(error)) > 2000:
            how, told = f"{plan}, {verb}: not one line in {kind_of(error)}", str(error)
        printed.write(one_line(error))
    except Exception as error:
        how, told = f"{plan}, {verb}: {kind_of(error)}", repr(error)
    harm = _harm(trap, printed.getvalue(), calls)
    return (f"{plan}, {verb}: {harm}", harm) if harm else (how, told)


def _without_network() -> list[str]:
    """Refuse connections, and return the list in which they are noted."""
    calls: list[str] = []

    def refuse(self: socket.socket, address: Any) -> None:
        calls.append(str(address))
        raise OSError("the network is not for campaigns")

    socket.socket.connect = socket.socket.connect_ex = refuse  # type: ignore[method-assign, assignment]
    return calls


def _harm(trap: Trap, printed: str, calls: list[str]) -> str:
    """Return what an attack has achieved, nothing if it failed."""
    left = [file for file in trap.folder.rglob("canary*") if file.name != "canary_module.py"]
    if left:
        return f"code was executed or a file written ({left[0].name})"
    if calls:
        return f"a connection was tried ({calls[0]})"
    victims = trap.folder / "victims"
    changed = [file.name for file in victims.rglob("*") if file.is_file() and file.read_text() != VICTIM]
    if changed or (victims.exists() and len(list(victims.rglob("*"))) != 3):
        return "a file outside the run directory was written"
    records = [file for file in trap.folder.rglob("*.json") if not file.is_symlink() and file.is_file()]
    if SECRET in printed or any(SECRET in file.read_text(errors="replace") for file in records):
        return "a secret of the environment was shown"
    if any(code in printed for code in ("\x1b]", "\x1b[2J", "\x07")):
        return "codes from a file reached the terminal"
    return ""


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options_of = parser("hostile", str(__doc__), 200, "attacks")
    options_of.add_argument("--plan", choices=tuple(PLANS), action="append", help="this kind of attack alone")
    options = options_of.parse_args(argv)
    tally = Tally.of("hostile", "attacks", options)
    plans = list(options.plan or PLANS)
    _imported()
    for number, _ in rounds(options):
        plan = plans[number % len(plans)]
        seed = options.seed * 1_000_003 + number
        with scratch() as folder:
            ended = isolated(lambda beat, p=plan, s=seed, f=folder: attempt(p, s, f), SECONDS, MORE_MB)
            tally.tried[plan] += 1
            how, told = ended.result if ended.is_well else (f"{plan}: {ended}", f"the verb {ended}")
            if told:
                again = (
                    f"python -m campaigns.hostile --plan {plan} --count {number + 1} --seed {options.seed}"
                )
                tally.fault(how, f"{told}\n{again}", folder / "run")
            else:
                tally.ended[how] += 1
            print(f"  attack {number} ({plan}): {how}", file=sys.stderr, flush=True)
    return tally.finish()


def _imported() -> None:
    """Import here what all attacks need, once."""
    import deepmatte.cli.compare
    import deepmatte.cli.train
    import deepmatte.reports.report
    import deepmatte.scoring.evaluate
    import deepmatte.scoring.photographs.predict
    import deepmatte.sweeps.ending
    import deepmatte.training.run  # noqa: F401


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
