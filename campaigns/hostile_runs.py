"""Run directories as strangers may have made them, each drawn by a seed."""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile as attacks
import numpy as np
import torch
import yaml
from hostile import Trap, stranger
from simulated_runs import write_run

from deepmatte.runs.directory import RunDir

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
