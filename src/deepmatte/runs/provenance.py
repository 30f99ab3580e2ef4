"""Where a result comes from, and how long it took. Nothing here imports torch."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Return where a result comes from: git commit, versions of packages, machine."""
    packages = (
        "deepmatte",
        "torch",
        "pytorch-lightning",
        "hydra-core",
        "torchmetrics",
        "numpy",
        "opencv-python",
        "albumentations",
    )
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "git_commit": _git_commit(),
        "versions": versions,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _git_commit() -> str | None:
    """Return the commit of the source tree, with ``-dirty`` if it has changes; None outside a checkout."""
    try:
        command = [
            "git",
            "-C",
            str(Path(__file__).parent),
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
            "--exclude=*",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


@contextmanager
def stopwatch(record: dict[str, float], key: str) -> Iterator[None]:
    """Add the seconds spent inside to ``record[key]``."""
    start = time.perf_counter()
    try:
        yield
    finally:
        record[key] = record.get(key, 0.0) + time.perf_counter() - start
