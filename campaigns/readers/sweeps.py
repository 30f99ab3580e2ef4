"""Readers of sweeps, races and manifests."""

from __future__ import annotations

import json
from pathlib import Path

from campaigns.readers.reader import Reader, printed, strange


def of_sweeps() -> dict[str, Reader]:
    """Return what reads sweeps, races and manifests."""
    from deepmatte.compare.race_view import race_view
    from deepmatte.compare.records.races import open_race, read_race
    from deepmatte.data.composition1k.manifest import check_manifest, read_manifest
    from deepmatte.sweeps.status import read_sweep, view

    def shown(run: Path) -> None:
        printed(view(read_sweep(run)))

    def seen(folder: Path) -> None:
        race = race_view(read_race(folder))
        printed(f"{race.order} {race.rounds} {race.cost} {race.outlook()}")

    def checked(folder: Path) -> None:
        check_manifest(read_manifest(folder / "manifest.json"), folder, 1)

    sweep = {
        "jobs": [{"run": "a", "overrides": ["seed=0"]}],
        "shared": ["seed=0"],
        "parallel": 2,
        "started": "2026-11-29T10:00:00+00:00",
        "process": {"host": "a", "pid": 1},
        "command": "deepmatte train -m seed=0",
        "objective": ["val/sad"],
        "cost": {},
    }
    image = {
        "image": "a.png",
        "foreground": "a",
        "background": "b",
        "sha256": "ab",
        "bytes": 9,
        "inputs_sha256": "a",
    }
    manifest = {"format": 1, "made": "", "versions": {}, "num_images": 1, "sha256": "ab", "images": [image]}
    decision = {"level": 0.5, "ranking": ["a"], "dropped": [], "equal": False}
    race = {
        "about": {"metric": "sad"},
        "plan": {},
        "settings": ["a"],
        "rounds": [{"seeds": [0], "runs": {"a": {"0": "x"}}, "failed": [], "decision": decision}],
    }
    from deepmatte.compare.racing import Plan

    plan = Plan()
    race["plan"] = json.loads(json.dumps(vars(plan)))
    return {
        "sweep": strange("sweep.json", sweep, shown, share=2),
        "manifest": strange("manifest.json", manifest, checked, share=2),
        "race": strange(
            "race.json",
            race,
            lambda run: open_race(run, plan, {"metric": "sad"}, ["a"]).runs(),
            seen,
        ),
    }
