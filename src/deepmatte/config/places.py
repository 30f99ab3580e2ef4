"""Where the files of the configuration are."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def conf_dir() -> Path:
    """Return the folder of the configuration: that of the installed wheel, else the checkout's ``conf/``."""
    packaged = _PACKAGE / "conf"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "conf"


def files_of(group: str) -> list[str]:
    """Return the names of the files of a group, ours and the user's; none for a key that is no group."""
    folders = (conf_dir(), conf_dir().parent, Path())
    return sorted({file.stem for folder in folders for file in (folder / group).glob("*.yaml")})
