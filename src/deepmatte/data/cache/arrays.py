"""Arrays on disk: one ``.npy`` file an item, written atomically and read by mapping it into memory.

The file holds one record whose fields are the item's arrays, so ``numpy.load(file)["alpha"]`` opens it
anywhere. What is mapped is shared by workers, processes and runs, and only the rows that are used are read.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from deepmatte.files import ASIDE, atomic

Arrays = dict[str, np.ndarray]
"""The arrays of one item, by name."""

_HOUR = 3600
_ATTEMPTS = 10


def default_folder(name: str) -> Path:
    """Return ``$XDG_CACHE_HOME/deepmatte/NAME``, or ``~/.cache/deepmatte/NAME``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepmatte" / name


class ArrayFolder:
    """A folder of such files; several processes may read, write and remove in it at once.

    Args:
        folder: where the files are; made at the first write.
        suffix: how their names end.
        cure: what a message advises where the folder can't be written to.
    """

    def __init__(self, folder: Path, suffix: str = ".npy", cure: str | None = None) -> None:
        self.folder, self.suffix, self.cure = folder, suffix, cure

    def path(self, key: str) -> Path:
        """Return the file of an item."""
        return self.folder / f"{key}{self.suffix}"

    def size(self, key: str) -> int:
        """Return the length of the item's file in bytes, 0 if there is none."""
        try:
            return self.path(key).stat().st_size
        except OSError:
            return 0

    def read(self, key: str, mapped: bool = True) -> Arrays | None:
        """Return the item's arrays; None if there are none or the file is damaged or cut off.

        They are mapped and read-only, or copied into memory where ``mapped`` is false.
        """
        try:
            record = _mapped(self.path(key))
        except Exception:  # numpy answers to damaged headers with exceptions of many kinds
            return None
        if record is None or record.shape or record.dtype.names is None or record.dtype.hasobject:
            return None
        arrays = {name: np.asarray(record[name]) for name in record.dtype.names}
        return arrays if mapped else {name: array.copy() for name, array in arrays.items()}

    def write(self, key: str, arrays: Arrays) -> None:
        """Keep the arrays; a writer that is killed leaves nothing under the item's name.

        Raises:
            InputError: the folder can't be written to, or the disk is full.
        """
        # Wide types first, so that every array is aligned.
        ordered = dict(sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize))
        record = np.dtype([(name, array.dtype, array.shape) for name, array in ordered.items()])
        header = {"descr": np.lib.format.dtype_to_descr(record), "fortran_order": False, "shape": ()}
        # Without waiting for the disk: a reader notices by the length what a power failure has cut off.
        with atomic(self.path(key), sync=False, cure=self.cure) as file:
            np.lib.format.write_array_header_2_0(file, header)
            for array in ordered.values():
                file.write(np.ascontiguousarray(array).data)

    def files(self) -> dict[Path, os.stat_result]:
        """Return all files, with their state.

        Those of older versions (without ``.npy``) and what killed writers have left count among them.
        """
        found = {}
        for file in self.folder.glob(f"*{self.suffix.removesuffix('.npy')}*"):
            with contextlib.suppress(OSError):
                found[file] = file.stat()
        return found

    def make_room(self, keys: Iterable[str], num_bytes: int) -> None:
        """Remove files of other items, the oldest first, until they take ``num_bytes`` at most."""
        own = {self.path(key) for key in keys}
        others = [
            (status.st_mtime, status.st_size, file)
            for file, status in self.files().items()
            if file not in own and not (file.suffix == ASIDE and status.st_mtime > time.time() - _HOUR)
        ]
        for _, size, file in sorted(others, reverse=True):
            num_bytes -= size
            if num_bytes < 0:
                with contextlib.suppress(OSError):
                    file.unlink()


def _mapped(path: Path) -> np.ndarray | None:
    """Return what a file of `ArrayFolder.write` holds, mapped; None of another version of numpy's format.

    The file is opened once: `numpy.load` opens it a second time for its data, when it may be another one.
    """
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) != (2, 0):
            return None
        shape, _, dtype = _header(file)
        return np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return what numpy reads from the header that ``file`` stands at.

    numpy parses it by `ast.literal_eval`, which in Python before 3.11.8 and 3.12.2 takes a sound text for a
    wrong one where a garbage collection lets another thread parse in between (cpython issue 106905).
    """
    start = file.tell()
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(SystemError):
            return np.lib.format.read_array_header_2_0(file)
        file.seek(start)
    return np.lib.format.read_array_header_2_0(file)
