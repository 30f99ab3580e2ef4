"""The weights that a run starts from: which file, and its digest, by which it identifies the run.

Nothing here imports torch.
"""

from __future__ import annotations

import functools
import hashlib
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from deepmatte.config.releases import register_resolver
from deepmatte.errors import InputError
from deepmatte.files import printable

DIGITS = 16
"""Hexadecimal digits of a digest that are kept."""


def initial_file(init: str) -> Path:
    """Return the file of ``init``: itself, or the best checkpoint of a run directory.

    Raises:
        InputError: there is no such file, or the directory has no checkpoint.
    """
    path = Path(init)
    if path.is_dir():
        best = path / "checkpoints" / "best.ckpt"
        if not best.is_file():
            raise InputError(
                f"init={printable(init)}: has no checkpoints/best.ckpt; "
                "give a run that was trained, or a file of weights"
            )
        return best
    if not path.is_file():
        raise InputError(f"init={printable(init)}: there is no such run directory or file")
    return path


def digest(init: str) -> str:
    """Return 16 hex digits of the content of the file of ``init`` (SHA-256).

    Raises:
        InputError: there is none.
    """
    path = initial_file(init)
    status = path.stat()
    return _digest(path.absolute(), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()[:DIGITS]


def check_initial(config: DictConfig) -> None:
    """Refuse an ``init`` that isn't there.

    Raises:
        InputError: it names it.
    """
    if config.get("init") is not None and config.get("init_digest") is None:
        digest(str(config.init))


def register() -> None:
    """Make ``${deepmatte.digest:INIT}`` known to OmegaConf.

    It is null without ``init``, and where its file isn't there: `check_initial` says so in one line.
    """

    def of(init: object) -> str | None:
        if init is not None:
            with suppress(InputError, OSError):
                return digest(str(init))
        return None

    register_resolver("deepmatte.digest", of)
