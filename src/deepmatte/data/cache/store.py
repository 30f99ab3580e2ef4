"""The cache of rendered samples: one file a sample, written aside and renamed, verified when read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepmatte.files import atomic

CHECKSUM_BYTES = 32


def checksum(pixels: bytes | memoryview) -> bytes:
    """Return the SHA-256 (32 bytes) of a sample's pixels."""
    return hashlib.sha256(pixels).digest()


class Store:
    """Files of raw planes (C, H, W) uint8 followed by their checksum; several processes may use one folder at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return the file of the sample ``name``."""
        return self.folder / f"{name}.planes"

    def read(self, name: str, size: int, channels: int) -> NDArray[np.uint8] | None:
        """Return the planes (H * W * C,) of ``name``; None if the file is missing, truncated or altered."""
        try:
            content = self.path(name).read_bytes()
        except OSError:
            return None
        num = size * size * channels
        if len(content) != num + CHECKSUM_BYTES or checksum(memoryview(content)[:num]) != content[num:]:
            return None
        return np.frombuffer(content, np.uint8, num)

    def read_checksum(self, name: str, size: int, channels: int) -> bytes | None:
        """Return the checksum that stands at the end of a file of the right length, without reading the pixels."""
        try:
            with self.path(name).open("rb") as file:
                if file.seek(0, os.SEEK_END) != size * size * channels + CHECKSUM_BYTES:
                    return None
                file.seek(-CHECKSUM_BYTES, os.SEEK_END)
                return file.read()
        except OSError:
            return None

    def write(self, name: str, planes: NDArray[np.uint8]) -> None:
        """Keep the planes of ``name``; raises InputError where the folder can't be written."""
        pixels = planes.tobytes()
        cure = "make room there, or set source.cache_dir to another folder"
        with atomic(
            self.path(name), sync=False, cure=cure
        ) as file:  # the checksum tells what a power failure has left
            file.write(pixels + checksum(pixels))
