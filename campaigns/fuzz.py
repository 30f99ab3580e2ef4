"""Files that are nearly right, to every reader: each is read, or refused in one line, in bounded memory.

Hypothesis draws the inputs; where atheris is installed, ``--engine atheris`` lets libFuzzer look for new
paths through the readers. What shows a fault is kept, and ``--repeat FILE --reader NAME`` reads it again.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from campaigns.campaign import Tally, kind_of, parser, rounds, scratch
from campaigns.isolation import isolated
from campaigns.readers import Reader, readers
from deepmatte.errors import InputError, RunError, one_line

SECONDS = 20.0
"""Processor time that one input may take."""

MORE_MB = 2048
"""Address space that all readers may take beside what they have at the start."""

CHUNK = 60
"""Inputs of a reader in one process: what a crash loses."""


def outcome(reader: Reader, folder: Path, content: bytes) -> tuple[str, str]:
    """Read one input; return whether it was read or refused, or the kind of fault and what happened."""
    file = folder / reader.file
    file.write_bytes(content)
    refused = 0
    for read in reader.reads:
        try:
            with redirect_stderr(StringIO()):
                read(folder)
        except (InputError, RunError) as error:
            refused += 1
            text = one_line(error)
            if not text.strip():
                return f"no words in {kind_of(error)}", "".join(traceback.format_exception(error))
            if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text):
                return f"control characters in {kind_of(error)}", repr(text)
            if len(text) > 1000:
                return f"a line of {len(text) // 1000} kB in {kind_of(error)}", text[:3000]
        except Exception as error:
            return kind_of(error), "".join(traceback.format_exception(error))[-6000:]
    return ("read" if refused < len(reader.reads) else "refused in one line"), ""


def drawn(reader: Reader, folder: Path, seed: int, count: int, beat: Callable[[], None]) -> dict[str, Any]:
    """Read ``count`` inputs that Hypothesis draws; return outcomes, and the shortest input of each fault."""
    import hypothesis

    ended: Counter[str] = Counter()
    faults: dict[str, tuple[int, str, str]] = {}

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(reader.strategy)
    def attack(spoilt: bytes) -> None:
        beat()
        content = reader.wrap(spoilt)
        how, told = outcome(reader, folder, content)
        ended["faults" if told else how] += 1
        if told and (how not in faults or len(content) < faults[how][0]):
            faults[how] = (len(content), told, content.hex())

    with _silent():  # libtiff and others write to the standard error of the process
        attack()
    return {"ended": ended, "faults": faults}


@contextmanager
def _silent() -> Iterator[None]:
    """Send what this process writes to its standard error to nowhere."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)


def campaign(options: argparse.Namespace) -> int:
    """Attack all readers, or the chosen ones, in turn."""
    tally = Tally.of("fuzz", "inputs", options)
    with scratch() as place:
        folder = place / "sweep/run"
        chosen = chosen_readers(folder, options.reader)
        total = sum(reader.share for reader in chosen.values())
        for reader in chosen.values():  # imports, and what readers keep, once for all forks
            with _restored(folder / reader.file):
                outcome(reader, folder, reader.wrap(reader.seeds[0]))
        size = max(CHUNK, int(CHUNK * total))
        with suppress(KeyboardInterrupt):
            for number, inputs in rounds(options, size):
                for name, reader in chosen.items():
                    count = max(1, round(inputs * reader.share / total))
                    one_chunk(tally, reader, name, folder, number, count)
                print(f"  {tally.tried.total():,} inputs", file=sys.stderr, flush=True)
    return tally.finish()


def chosen_readers(folder: Path, names: Sequence[str] | None) -> dict[str, Reader]:
    """Return the readers of those names, or all; an unknown one ends the process in one line."""
    every = readers(folder)
    for name in names or ():
        if name not in every:
            there = ", ".join(every)
            sys.exit(f"campaigns.fuzz: --reader {name}: there is no such reader; choose of {there}")
    return {name: every[name] for name in names or every}


@contextmanager
def _restored(file: Path) -> Iterator[None]:
    """Give a file back what it holds now, or remove it where it is not there, at the end of the block."""
    before = file.read_bytes() if file.exists() else None
    try:
        yield
    finally:
        if before is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(before)


def one_chunk(tally: Tally, reader: Reader, name: str, folder: Path, number: int, count: int) -> None:
    """Attack one reader in a process of its own and add what was found to the tally."""
    kept = folder / reader.file
    seed = tally.seed * 1_000_003 + number
    repeat = f"python -m campaigns.fuzz --reader {name} --repeat {{}}"
    with _restored(kept):
        ended = isolated(lambda beat: drawn(reader, folder, seed, count, beat), SECONDS, MORE_MB)
        tally.tried[name] += sum(ended.result["ended"].values()) if ended.is_well else 1
        if not ended.is_well:
            tally.fault(f"{name}: {ended}", f"the reader {ended}\n{repeat}", kept)
            return
        for how, times in ended.result["ended"].items():
            tally.ended[how] += times if how != "faults" else 0
        tally.ended["faults"] += ended.result["ended"].get("faults", 0) - len(ended.result["faults"])
        for kind, (_, told, content) in ended.result["faults"].items():
            kept.write_bytes(bytes.fromhex(content))
            tally.fault(f"{name}: {kind}", f"{told}\n{repeat}", kept)


def guided(options: argparse.Namespace) -> int:
    """Let atheris look for inputs of one reader that take new paths; it ends the process at a fault."""
    import atheris

    with scratch() as place, atheris.instrument_imports(include=["deepmatte"]):
        folder = place / "sweep/run"
        (reader,) = chosen_readers(folder, options.reader).values()
        corpus = place / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(reader.seeds):
            (corpus / str(number)).write_bytes(seed)

        def attack(content: bytes) -> None:
            how, told = outcome(reader, folder, reader.wrap(content))
            if told:
                raise AssertionError(f"{how}\n{told}")

        options.keep.mkdir(parents=True, exist_ok=True)
        kept = f"-artifact_prefix={options.keep}/atheris.{options.reader[0]}."
        limits = [f"-timeout={SECONDS:.0f}", f"-rss_limit_mb={MORE_MB + 2048}", "-max_len=65536"]
        length = (
            f"-runs={options.count}"
            if options.minutes is None
            else f"-max_total_time={60 * options.minutes:.0f}"
        )
        atheris.Setup([sys.argv[0], length, f"-seed={options.seed + 1}", kept, *limits, str(corpus)], attack)
        atheris.Fuzz()
    return 0


def repeated(options: argparse.Namespace) -> int:
    """Read a kept input again, with a traceback where it fails."""
    with scratch() as place:
        folder = place / "sweep/run"
        (reader,) = chosen_readers(folder, options.reader).values()
        how, told = outcome(reader, folder, options.repeat.read_bytes())
    print(told or how)
    return 1 if told else 0


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options_of = parser("fuzz", str(__doc__), 20_000, "inputs")
    options_of.add_argument(
        "--reader", action="append", metavar="NAME", help="this reader alone (repeatable)"
    )
    options_of.add_argument("--engine", choices=("hypothesis", "atheris"), default="hypothesis")
    options_of.add_argument("--repeat", type=Path, metavar="FILE", help="read a kept input again")
    options = options_of.parse_args(argv)
    if (options.repeat or options.engine == "atheris") and len(options.reader or ()) != 1:
        options_of.error("--repeat and --engine atheris take one --reader")
    if options.repeat:
        return repeated(options)
    return guided(options) if options.engine == "atheris" else campaign(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
