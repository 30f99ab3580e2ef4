"""What ``result.json`` may hold: the kinds of its keys, whoever wrote it. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Label = str | int | float | bool | None
Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Fingerprint:
    """Which code and data made a run: digits of the code, and of each split's data."""

    code: str | None = None
    data: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Result:
    """The keys of ``result.json`` that are read; others may be there, too.

    Scores, costs, notes and lists are never null, on which their readers rely. The documentation of the keys
    themselves is where they are written: `deepmatte.training.run`, `deepmatte.scoring.evaluate`.
    """

    status: str
    config_hash: str | None = None
    experiment: str | None = None
    command: str | None = None
    overrides: Sequence[str] = ()
    seed: int | None = None
    run: str | None = None
    method: str | None = None
    mode: str | None = None
    stage: str | None = None
    stages_done: Sequence[str] = ()
    best_epoch: int | None = None
    protocol: str | None = None
    metrics_version: Label = None
    metrics: Mapping[str, Mapping[str, Label]] | None = None
    impose_trimap: bool | None = None
    trimap: Mapping[str, Label] | None = None
    data_root: str | None = None
    dataset: Mapping[str, Label] | None = None
    trained_on: Sequence[str] | None = None
    fingerprint: Fingerprint | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    cost: Numbers = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    git_commit: str | None = None
    machine: str | None = None
    versions: Mapping[str, str | None] | None = None
