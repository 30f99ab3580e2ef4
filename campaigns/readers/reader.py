"""A kind of file with what reads it, and how files are made that are nearly right."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from campaigns.inputs import documents, edited

Read = Callable[[Path], object]
"""Reads the file of a try; the folder is that of a finished run."""


@dataclass(frozen=True)
class Reader:
    """A kind of file and what reads it.

    Attributes:
        file: its name in the folder of a try.
        seeds: right files.
        reads: what reads it, each by itself.
        strategy: files that are nearly right.
        share: how many of the inputs it gets, in proportion.
        wrap: makes a file of what the strategy or a fuzzer draws, such as checksums.
    """

    file: str
    seeds: tuple[bytes, ...]
    reads: tuple[Read, ...]
    strategy: st.SearchStrategy[bytes]
    share: float = 1.0
    wrap: Callable[[bytes], bytes] = field(default=lambda content: content)


def spoilt(
    file: str,
    seeds: list[bytes],
    *reads: Read,
    share: float = 1.0,
    wrap: Callable[[bytes], bytes] | None = None,
) -> Reader:
    """Return a reader of files whose bytes are spoilt."""
    options = {} if wrap is None else {"wrap": wrap}
    return Reader(
        file, tuple(seeds), reads, st.one_of(edited(seeds), edited(seeds), st.binary()), share, **options
    )


def strange(
    file: str, whole: Any, *reads: Read, written: Callable[[Any], bytes] | None = None, share: float = 1.0
) -> Reader:
    """Return a reader of documents with strange values, or spoilt bytes."""
    write = written or (lambda document: json.dumps(document).encode(errors="surrogatepass"))
    seed = write(whole)
    strategy = st.one_of(documents(whole, write), documents(whole, write), edited([seed]))
    return Reader(file, (seed,), reads, strategy, share)


def printed(renderable: Any) -> None:
    """Print what a terminal would be shown, to nowhere."""
    from rich.console import Console

    Console(file=io.StringIO(), width=100).print(renderable)


def as_yaml(document: Any) -> bytes:
    """Return a document as the bytes of a YAML file."""
    return yaml.safe_dump(document).encode(errors="surrogatepass")
