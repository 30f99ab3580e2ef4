"""What a distribution has to hold, and what it may not."""

from __future__ import annotations

import re
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

PACKED = {
    "src/deepmatte": "deepmatte",
    "src/hydra_plugins": "hydra_plugins",
    "conf": "deepmatte/conf",
    "experiments": "deepmatte/experiments",
}
"""Folders of the checkout, and where the wheel has them."""

FREE = PurePosixPath("docs/portrait.png")
"""The one photograph, of NASA's and in the public domain, which README shows beside its cut-out."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".dng")
PRODUCTS = (".pyc", ".pyo", ".so", ".nbi", ".nbc", ".ckpt", ".pt", ".npz", ".npy", ".db", ".wandb")
HIDDEN = (".github", ".ci", ".gitignore", ".dockerignore", ".pre-commit-config.yaml")
"""What may begin with a dot, in an sdist."""

MOST_BYTES = 2**20
"""Of one file: the largest figure has half of it."""

MOST_WEIGHTS = 6 * 10**6
"""Bytes of a file of weights."""

MACHINE = re.compile(r"(?<![\w.~}/-])/(?:home|Users|root|work|tmp|mnt|scratch|opt)/[\w.]+")
"""A path of somebody's machine."""


def sources(root: Path) -> list[str]:
    """Return the files of the checkout that are under version control, with ``/``."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.splitlines() if (root / name).is_file()]


def read(file: Path) -> dict[str, bytes]:
    """Return the content of every file in a wheel or an sdist, by its name there."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(file) as sdist:
        found = {member.name: sdist.extractfile(member) for member in sdist if not member.isdir()}
        return {name: b"" if content is None else content.read() for name, content in found.items()}


def complaints(file: Path, tracked: list[str]) -> list[str]:
    """Return a line for each thing that is wrong with a distribution.

    Args:
        file: a wheel or an sdist.
        tracked: the files under version control (`sources`).
    """
    content = read(file)
    expected = _in_wheel(tracked) if file.suffix == ".whl" else _in_sdist(tracked, file)
    lines = [f"lacks {name}" for name in sorted(expected - content.keys())]
    for name in sorted(content.keys() - expected):
        if not _is_metadata(name):
            lines.append(f"{name}: is not under version control")
    lines += _of_files(content)
    return [f"{file.name}: {line}" for line in lines]


def _in_wheel(tracked: list[str]) -> set[str]:
    pairs = ((name, folder, packed) for name in tracked for folder, packed in PACKED.items())
    return {
        packed + name.removeprefix(folder) for name, folder, packed in pairs if name.startswith(f"{folder}/")
    }


def _in_sdist(tracked: list[str], file: Path) -> set[str]:
    return {f"{file.name.removesuffix('.tar.gz')}/{name}" for name in tracked}


def _is_metadata(name: str) -> bool:
    """Return whether a file is what the build adds: the wheel's records, the sdist's PKG-INFO."""
    return re.match(r"deepmatte-[\w.]+\.dist-info/|deepmatte-[\w.]+/PKG-INFO$", name) is not None


def _of_files(content: Mapping[str, bytes]) -> Iterator[str]:
    for name, data in sorted(content.items()):
        path = PurePosixPath(name)
        if path.suffix.lower() in PRODUCTS or "__pycache__" in path.parts:
            yield f"{name}: is made, not written"
        if any(part.startswith(".") and part not in HIDDEN for part in path.parts):
            yield f"{name}: is hidden"
        weights = path.suffix == ".safetensors"
        if len(data) > (MOST_WEIGHTS if weights else MOST_BYTES):
            yield f"{name}: has {len(data) / 2**20:.1f} MiB"
        if weights:  # numbers may look like anything: the header alone is text
            data = data[: 8 + int.from_bytes(data[:8], "little")]
        if path.suffix.lower() in PICTURES:
            yield from _of_picture(path, data)
        elif leak := MACHINE.search(data.decode(errors="replace")):
            yield f"{name}: names a path of a machine, {leak[0]}"


def _of_picture(path: PurePosixPath, data: bytes) -> Iterator[str]:
    """Yield what is wrong with a picture: all others are figures of the experiments' pages."""
    if PurePosixPath(*path.parts[-2:]) == FREE:
        return
    if "experiments" not in path.parts or path.suffix != ".png":
        yield f"{path}: is a picture, but no figure of an experiment"
    elif not data.startswith(b"\x89PNG\r\n") or b"eXIf" in data:
        yield f"{path}: is no figure, but a photograph"
