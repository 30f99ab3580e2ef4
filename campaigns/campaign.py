"""What all campaigns share: their options, the line of figures, and what is kept of a fault."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

KEPT = Path("runs/campaigns")
"""Where the inputs that showed a fault are kept, a folder a campaign; git ignores it."""


def parser(name: str, description: str, count: int, unit: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every campaign; ``count`` is its usual length in ``unit``."""
    result = argparse.ArgumentParser(prog=f"python -m campaigns.{name}", description=description)
    length = result.add_mutually_exclusive_group()
    length.add_argument("--count", type=int, default=count, metavar="N", help=f"{unit} (default: {count})")
    length.add_argument("--minutes", type=float, metavar="M", help=f"go on for so long, however many {unit}")
    result.add_argument("--seed", type=int, default=0, metavar="S", help="other seeds try other things")
    kept = f"where what showed a fault is kept (default: {KEPT / name})"
    result.add_argument("--keep", type=Path, default=KEPT / name, metavar="DIR", help=kept)
    return result


def rounds(options: argparse.Namespace, size: int = 1) -> Iterator[tuple[int, int]]:
    """Yield a number and the size of each round, until ``--count`` or ``--minutes`` are reached."""
    end = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    number = done = 0
    while time.monotonic() < end if end is not None else done < options.count:
        now = size if end is not None else min(size, options.count - done)
        yield number, now
        number, done = number + 1, done + now


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that is removed at the end, with all that killed processes have left in ``$TMPDIR``."""
    with TemporaryDirectory() as place:
        temporary = Path(place).resolve() / "t"  # short, since paths of sockets are
        temporary.mkdir()
        environment = mock.patch.dict(os.environ, TMPDIR=str(temporary))
        with environment, mock.patch.object(tempfile, "tempdir", str(temporary)):
            yield temporary.parent


@dataclass
class Tally:
    """What a campaign has tried and found.

    Attributes:
        name: the campaign's.
        unit: what it counts.
        seed: with which it was started.
        keep: where what shows a fault is kept.
        tried: how often each thing was tried.
        ended: how often each outcome was seen.
        faults: what is kept of each kind of fault, by its name.
    """

    name: str
    unit: str
    seed: int
    keep: Path
    tried: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Path] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, name: str, unit: str, options: argparse.Namespace) -> Tally:
        """Return the tally of a campaign that starts now."""
        return cls(name, unit, options.seed, options.keep)

    def fault(self, kind: str, told: str, evidence: Path | None = None) -> None:
        """Count a fault, and keep the shortest evidence of its kind beside what it says.

        Args:
            kind: what all faults of one cause have in common.
            told: what happened, such as a traceback, and how to repeat it.
            evidence: the file or folder that shows it; it is copied.
        """
        self.ended["faults"] += 1
        evidence = evidence if evidence is not None and evidence.exists() else None
        place = self.keep / re.sub(r"[^\w.=-]+", "_", kind)[:120]
        known = self.faults.setdefault(kind, place)
        kept = place / evidence.name if evidence is not None else None
        if known.exists() and (kept is None or not _is_shorter(evidence, kept)):
            return
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "what.txt").write_text(f"{kind}\n\n{told}\n", encoding="utf-8", errors="backslashreplace")
        if evidence is not None and evidence.is_dir():
            shutil.copytree(evidence, place / evidence.name, symlinks=True)
        elif evidence is not None:
            shutil.copy(evidence, place / evidence.name)

    def line(self) -> str:
        """Return the campaign in one line of figures."""
        tried = ", ".join(f"{count:,} {what}" for what, count in sorted(self.tried.items()))
        ended = ", ".join(f"{count:,} {how}" for how, count in self.ended.most_common() if how != "faults")
        faults = f"{self.ended['faults']:,} faults of {len(self.faults)} kinds"
        seconds = time.monotonic() - self.started
        total = f"{self.tried.total():,} {self.unit} in {seconds:.0f} s (seed {self.seed})"
        return f"{self.name}: {total}: {ended or 'nothing ended'}, {faults} [{tried}]"

    def finish(self) -> int:
        """Print the line, and where faults are kept; return the exit status."""
        for kind, place in self.faults.items():
            print(f"  fault: {kind}: {place}")
        print(self.line(), flush=True)
        return 1 if self.faults else 0


def _is_shorter(evidence: Path | None, kept: Path | None) -> bool:
    if evidence is None or kept is None or not kept.is_file() or not evidence.is_file():
        return False
    return evidence.stat().st_size < kept.stat().st_size


def kind_of(error: BaseException) -> str:
    """Return the class of an error and the last place in deepmatte that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/deepmatte/" in frame.filename] or frames[-1:]
    last = frames[-1] if frames else None
    place = f"{Path(ours[-1].filename).stem}.{ours[-1].name}" if ours else "nowhere"
    deep = f" from {Path(last.filename).stem}.{last.name}" if last is not None and last not in ours else ""
    return f"{type(error).__name__} in {place}{deep}"
