"""Files: one atomic write, plain data read within bounds, and in one line what the file system refuses.

Imports nothing but the errors.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from deepmatte.errors import InputError, visible

PathLike = str | os.PathLike[str]

ASIDE = ".part"
"""The ending of files while they are written; what a killed process has left of them may be removed."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CURES = {
    **dict.fromkeys(_FULL, "make room and repeat the command"),
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.ENOENT: "its folder is gone; put it back, or choose another place",
    errno.EIO: "check the disk, or choose another place",
}


def printable(path: PathLike) -> str:
    r"""Return the path as it may stand in a one-line message: control characters are escaped.

    >>> printable("a b.png"), printable("two\nlines.png")
    ('a b.png', "'two\\nlines.png'")
    """
    text = os.fspath(path)
    return text if text.isprintable() else repr(text)


def is_full(error: OSError) -> bool:
    """Say whether the disk, a quota or a limit left no room for what was written."""
    return error.errno in _FULL


def unwritable(path: PathLike, error: OSError, cure: str | None = None) -> InputError:
    """Return the error that names a path that can't be written, why, and what to do.

    ``cure`` replaces the general advice where the caller knows better.

    >>> unwritable("a.csv", OSError(errno.ENOSPC, "No space left on device"))
    InputError("a.csv: can't be written (No space left on device); make room and repeat the command")
    """
    known = _CURES.get(error.errno or 0, "make room or a folder there, or choose another place")
    return InputError(
        f"{printable(path)}: can't be written ({error.strerror or type(error).__name__}); {cure or known}"
    )


def refused(error: BaseException) -> InputError | None:
    """Return the error for a full or read-only disk or a path without permission; None for any other."""
    if not isinstance(error, OSError) or error.errno not in _CURES or error.errno == errno.ENOENT:
        return None
    return unwritable(error.filename or "the output", error)


@contextmanager
def writing(path: PathLike, cure: str | None = None) -> Iterator[None]:
    """Turn what the file system refuses while ``path`` is written into an `InputError` that names it."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, cure) from error


@contextmanager
def atomic(
    path: PathLike, *, parents: bool = True, sync: bool = True, cure: str | None = None
) -> Iterator[IO[bytes]]:
    """Yield a file that becomes ``path`` at the end: an atomic write.

    A reader sees the old content or the new one, never half of it. The file is made beside its destination,
    since a rename between file systems would be a copy. Whatever is raised inside, Ctrl-C included, leaves
    the old content and nothing else. What is no file, such as ``/dev/stdout``, is written to as it is.

    Args:
        path: the destination.
        parents: make the folder where it is missing.
        sync: wait for the disk, so that a power failure can't leave an empty file; not needed where readers
            check the content.
        cure: what to do where it can't be written, if that is not to make room or to choose another place.

    Raises:
        InputError: it can't be written.
    """
    target = Path(path)
    with writing(target, cure):
        if parents:
            target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not stat.S_ISREG(target.stat().st_mode) and not target.is_dir():
            with target.open("wb") as file:
                yield file
            return
        # Cut, since a name has 255 bytes at most.
        aside = target.with_name(f".{target.name[:50]}.{uuid.uuid4().hex[:12]}{ASIDE}")
        try:
            with aside.open("xb") as file:
                yield file
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            aside.replace(target)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
        if sync:
            _sync_folder(target.parent)


def check_folder(folder: Path, cure: str | None = None) -> None:
    """Make a folder, and raise InputError where it can't be written to: before the work, not after."""
    with writing(folder, cure):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def write_text(path: PathLike, text: str, *, parents: bool = True) -> None:
    """Write ``text`` in UTF-8 as `atomic` does."""
    write_bytes(path, text.encode(), parents=parents)


def write_bytes(path: PathLike, data: bytes | memoryview, *, parents: bool = True) -> None:
    """Write ``data`` as `atomic` does."""
    with atomic(path, parents=parents) as file:
        file.write(data)


def temporary_folder() -> Path:
    """Return a new folder in ``$TMPDIR`` that goes with this process, unless that is killed by SIGKILL."""
    folder, owner = Path(tempfile.mkdtemp(prefix="deepmatte-")), os.getpid()
    # Forks of this process inherit the handler, but not the folder.
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder


def own_folder(places: Iterable[Path]) -> Path | None:
    """Return the first place that is, or can be made, a folder of this user that no other can write to."""
    for place in places:
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = place.lstat()
            mine = (
                status.st_uid == os.geteuid() and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
            )
            if mine and os.access(place, os.R_OK | os.W_OK | os.X_OK):
                return place
    return None


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems can't
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- plain data that others wrote ----------------------------------------------------------------------

MOST_BYTES = 100_000_000
"""Longer files are refused: no record has so much, and plain data take many times the memory of text."""

MOST_DEPTH = 100
"""Lists and keys within one another; deeper ones end the parsers, and whatever walks through the data."""


def read_json(path: Path) -> Any:
    """Return what a file of JSON in UTF-8 holds.

    Raises:
        OSError: the file can't be read.
        ValueError: it holds something else, or is longer or deeper than the bounds; in one line.
    """
    text = _text(path)
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level, depth = [found], 0
    while level := [child for node in level for child in _children(node)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(_TOO_DEEP)
    return found


def check_yaml(path: Path) -> None:
    """Refuse a file of YAML that unfolds to more than it shows, before anything is made of it.

    Aliases (``*name``) repeat what an anchor names: nine short lines of them unfold to more than the memory.
    Nothing that we write has any.

    Raises:
        OSError: the file can't be read.
        ValueError: it is no YAML, has aliases, is one text, which OmegaConf reads as YAML again, or is longer
            or deeper than the bounds; in one line.
    """
    import yaml

    depth = 0
    try:
        for event in yaml.parse(_text(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"has an alias, *{event.anchor}; write the value in its place")
            if depth == 0 and isinstance(event, yaml.ScalarEvent) and event.value not in ("", "~", "null"):
                raise ValueError("holds one value, no keys and no list")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_DEPTH:
                raise ValueError(_TOO_DEEP)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def without_codes(node: Any) -> Any:
    r"""Return plain data with escapes in the place of what a terminal would obey; line breaks stay.

    >>> without_codes({"error": ["a\x1b[2Jb\nc"]})
    {'error': ['a\\x1b[2Jb\nc']}
    """
    if isinstance(node, dict):
        return {without_codes(key): without_codes(value) for key, value in node.items()}
    if isinstance(node, list):
        return [without_codes(value) for value in node]
    if not isinstance(node, str) or node.isprintable():
        return node
    return "\n".join(visible(line) for line in node.split("\n"))


_TOO_DEEP = f"nested more than {MOST_DEPTH} deep"


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{size / 1e6:.0f} MB are more than a record can have")
    return path.read_text(encoding="utf-8")


def _children(node: Any) -> list[Any]:
    """Return the lists and mappings in a list or mapping."""
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [value for value in values if isinstance(value, dict | list)]
