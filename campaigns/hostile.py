"""Run directories of strangers, to every verb: nothing in them is executed, or written elsewhere.

The attacks are data: those of ``tests/hostile.py`` at places drawn by the seed, links that lead out of the
directory, names that a page, a terminal or a spreadsheet would obey, archives that unpack to more than the
memory. Each is carried out in a process of its own that may not open a connection; it must end in one line.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import socket
import sys
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hostile as attacks
import numpy as np
import torch
import yaml
from hostile import SECRET, Trap, stranger
from omegaconf.errors import OmegaConfBaseException
from simulated_runs import write_run

from campaigns.campaign import Tally, kind_of, parser, rounds
from campaigns.isolation import isolated
from deepmatte.config.unknown_keys import explained
from deepmatte.errors import InputError, RunError, one_line
from deepmatte.runs.directory import RunDir

SECONDS = 60.0
"""Processor time that one attack may take."""

MORE_MB = 4096
"""Address space that it may take beside what this process has."""

Prepare = Callable[[Trap, random.Random], RunDir]
VICTIM = "what is not to be touched\n"
BAD_NAMES = (
    '<script>top.document.title="canary"</script>',
    "</script><script>canary()</script>",
    '"><img src=x onerror=canary()>',
    "{{ 7 * 7 }}{% for x in [] %}",
    "=HYPERLINK(canary)",
    "\x1b]0;canary\x07\x1b[2J",
    "[canary](javascript:canary())|`x`",
    "../../../canary",
    "a\nb\r\nc",
    "'; DROP TABLE runs; --",
)


# ---- run directories ---------------------------------------------------------------------------------------


def payloads(trap: Trap) -> list[Any]:
    """Return everything that the attacks put at a place of a configuration."""
    nodes = [node for _, node in (*attacks.ATTACKS.values(), *attacks.ATTACKS_ON_TRUST.values())]
    nodes += [value for patch in attacks.REFERENCES.values() for value in patch.values()]
    nodes += [attacks.HYDRA, {"term": "os:system", "weight": 1}, f"os:system touch {trap.canary}"]
    return nodes


def a_target_somewhere(trap: Trap, rng: random.Random) -> RunDir:
    """Put an attack at any place of a run's configuration, or beside it."""
    run = stranger(trap)
    file = run.path / ".hydra/config.yaml"
    config = yaml.safe_load(file.read_text())
    places = list(_places(config))
    for _ in range(rng.choice((1, 1, 2))):
        parent, key = rng.choice(places)
        node = trap.set(rng.choice(payloads(trap)))
        if rng.random() < 0.3 and isinstance(parent, dict):
            parent[rng.choice(("_target_", "_args_", "_partial_", "_recursive_", "hydra", "mine"))] = node
        else:
            parent[key] = node
    header = rng.choice(("", "", "# @package hydra\n", "# @package _global_\n"))
    file.write_text(header + yaml.safe_dump(config))
    return run


def _places(node: Any) -> Any:
    """Yield every place of a configuration as a mapping or list and a key of it."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        yield node, key
        yield from _places(node[key])


def a_text(trap: Trap, rng: random.Random) -> RunDir:
    """Put what is no plain data in the place of a configuration."""
    run = stranger(trap)
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
    )
    texts = [*map(trap.set, attacks.TEXTS.values()), bomb, "[" * 100_000, "{a: " * 5000, "? " * 3000]
    for name in rng.sample(["config", "overrides"], rng.choice((1, 2))):
        (run.path / f".hydra/{name}.yaml").write_text(rng.choice(texts))
    return run


def a_checkpoint(trap: Trap, rng: random.Random) -> RunDir:
    """Put a pickle, a bomb or strange content in the place of the checkpoints."""
    run = stranger(trap)
    strange = [None, [], 0, "x", {}, {1: 2}, torch.zeros(1), {"model.a": torch.zeros(1).to_sparse()}]
    whole = torch.load(run.checkpoints / "last.ckpt", weights_only=True)
    about = whole["deepmatte"] | {"epochs_done": 0, "first_epoch": 0}
    state = {
        "epoch": 0,
        "global_step": 0,
        "loops": {},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
    }
    for name in ("best", "last"):
        file, kind = run.checkpoints / f"{name}.ckpt", rng.randrange(4)
        if kind == 0:
            torch.save(whole | {"more": attacks.Pickled(trap.canary)}, file)
        elif kind == 1:
            _bomb(file)
        elif kind == 2:
            file.write_bytes((trap.folder / "attack.pickle").read_bytes())
        else:
            content = whole | state | {"deepmatte": about}
            content[rng.choice(list(content))] = rng.choice(strange)
            torch.save(content, file)
    return run


def _bomb(file: Path) -> None:
    """Write a checkpoint of a few megabytes that unpacks to four gigabytes."""
    buffer = io.BytesIO()
    torch.save({"deepmatte": {}, "state_dict": {"w": torch.zeros(4)}}, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename.endswith("data/0"):
                with new.open(entry.filename, "w", force_zip64=True) as out:
                    for _ in range(4096):
                        out.write(bytes(2**20))
            else:
                new.writestr(entry.filename, old.read(entry))


def a_link(trap: Trap, rng: random.Random) -> RunDir:
    """Put links to a stranger's choice of places into the run directory."""
    run = stranger(trap)
    victims = trap.folder / "victims"
    victims.mkdir()
    for name in ("result.json", "config.yaml", "authorized_keys"):
        (victims / name).write_text(VICTIM)
    files = [
        ".lock",
        "result.json",
        "per_image.csv",
        "metrics.csv",
        "output.log",
        "progress.json",
        "trained_on.json",
    ]
    folders = ["evaluations", "pictures", "pictures/test", "wandb", "evaluations/procedural_test"]
    for name in rng.sample(files + folders, 3):
        place = run.path / name
        if place.parent.is_symlink() or place.is_symlink() or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(
            rng.choice([victims, Path("/dev/zero"), place])
            if name in folders
            else victims / "authorized_keys"
        )
    return run


def names_that_are_code(trap: Trap, rng: random.Random) -> RunDir:
    """Write a sweep whose labels, images, errors and notes are HTML, formulas and terminal codes."""
    sweep = trap.folder / "run"
    for number in range(4):
        scores = np.linspace(1, 2, 8) + number
        name = rng.choice(BAD_NAMES).replace("\x1b", "")
        changes = {
            key: rng.choice(BAD_NAMES)
            for key in rng.sample(["experiment", "command", "git_commit", "machine", "protocol"], 2)
        }
        run = write_run(sweep / f"{number:04x}", [f"loss={number // 2}{name}"], number % 2, scores, changes)
        if rng.random() < 0.3:
            record = json.loads((run / "result.json").read_text())
            (run / "result.json").write_text(
                json.dumps(record | {"status": "failed", "error": rng.choice(BAD_NAMES)})
            )
        rows = list(csv.reader((run / "per_image.csv").open()))
        for row, bad in zip(rows[1:], BAD_NAMES, strict=False):
            row[:4] = [bad, bad, bad, bad]
        with (run / "per_image.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return RunDir(sweep)


# ---- verbs -------------------------------------------------------------------------------------------------


def evaluate(run: RunDir) -> None:
    """Evaluate a run."""
    from tiny_run import compose

    from deepmatte.scoring.evaluate import evaluate as score

    try:
        score(compose("evaluate", [f"run={run.path}"]))
    except OmegaConfBaseException as error:  # as the command turns it into one line
        raise InputError(explained(error, "evaluate")) from error


def predict(run: RunDir) -> None:
    """Make a predictor of a run."""
    from deepmatte.scoring.predictors import predictor_of_run

    predictor_of_run(run.path)


def resume(run: RunDir) -> None:
    """Resume a run."""
    from deepmatte.cli import train

    errors: list[BaseException] = []
    sys.argv = ["deepmatte", f"resume={run.path}"]
    train.report = errors.append  # type: ignore[assignment]
    try:
        train.run_hydra(train.main)
    except SystemExit:
        if errors:
            raise errors[0] from None


def repeat(run: RunDir) -> None:
    """Begin to repeat a job of a sweep, up to its process."""
    from unittest import mock

    from rich.console import Console

    from deepmatte.sweeps import ending

    with (
        mock.patch.object(ending, "start_tree"),
        mock.patch.object(ending, "settle", return_value={"status": "finished"}),
    ):
        ending.repeat(run, Console(quiet=True))


def compare(run: RunDir) -> None:
    """Compare the runs of a folder and write the page."""
    from deepmatte.cli.compare import main

    out = run.path.parent / "page"
    main([str(run.path), "--out", str(out)])
    for page in out.glob("*.html"):
        Scripts().check(page)


def status(run: RunDir) -> None:
    """Show the state of a sweep."""
    from deepmatte.cli.sweep import main

    main(["status", str(run.path)])


class Scripts(HTMLParser):
    """Finds scripts, handlers and elements on a page that its template has not put there."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a name could have made."""
        self.inside = tag == "script" and dict(attrs).get("type") is None
        if any(str(value).startswith("javascript:") or key.startswith("on") for key, value in attrs):
            self.found.append(f"<{tag} {attrs}>")

    def handle_data(self, data: str) -> None:
        """Note names among the scripts."""
        if self.inside and "canary" in data:
            self.found.append(data[:200])

    def check(self, page: Path) -> None:
        """Raise AssertionError where a name has become code."""
        self.feed(page.read_text(encoding="utf-8"))
        if self.found:
            raise AssertionError(f"a name became code: {self.found[0]}")


VERBS: dict[str, Callable[[RunDir], None]] = {
    "evaluate": evaluate,
    "predict": predict,
    "resume": resume,
    "repeat": repeat,
    "compare": compare,
    "status": status,
}
TRAINED = ("evaluate", "predict", "resume", "repeat")
PLANS: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    "targets": (a_target_somewhere, TRAINED),
    "texts": (a_text, (*TRAINED, "compare", "status")),
    "checkpoints": (a_checkpoint, TRAINED),
    "links": (a_link, (*TRAINED, "compare")),
    "names": (names_that_are_code, ("compare", "status")),
}


# ---- the campaign ------------------------------------------------------------------------------------------


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
        with TemporaryDirectory() as place:
            folder = Path(place).resolve()
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
    import deepmatte.scoring.predict
    import deepmatte.sweeps.ending
    import deepmatte.training.run  # noqa: F401


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
