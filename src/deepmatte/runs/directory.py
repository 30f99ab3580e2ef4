"""A run directory: what it holds and in which state it is. Nothing here imports torch."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from deepmatte.errors import InputError, check_arguments, visible
from deepmatte.files import ASIDE, check_yaml, printable, read_json, without_codes, write_text
from deepmatte.runs.locks import LOCK_FILE
from deepmatte.runs.result import Numbers, Result

RESULT_FILE = "result.json"
PER_IMAGE_FILE = "per_image.csv"
PROGRESS_FILE = "progress.json"
OUTPUT_FILE = "output.log"
TRAINED_ON_FILE = "trained_on.json"
FINISHED, PRUNED = "finished", "pruned"
_RETRAIN = "delete the run directory to train this run again"


def last_line(file: Path) -> str:
    """Return the last line of a log that is not blank."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "no output"
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


@dataclass(frozen=True)
class Progress:
    """What ``progress.json`` holds: the share that is done, the seconds left, the cost so far."""

    fraction: float | None = None
    seconds_left: float | None = None
    cost: Numbers = field(default_factory=dict)


@dataclass(frozen=True)
class RunDir:
    """The paths of a run directory, and reading and writing its records."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of ``best.ckpt`` and ``last.ckpt``."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint of the newest epoch, from which training resumes."""
        return self.checkpoints / "last.ckpt"

    @property
    def pictures(self) -> Path:
        """The folder of picture grids and test pictures."""
        return self.path / "pictures"

    def result(self) -> dict[str, Any] | None:
        """Return ``result.json`` as a dict, or None where there is none yet; whoever wrote it.

        Raises:
            InputError: it can't be read, or one of its keys is not of the kind that `Result` says.
        """
        file = self.path / RESULT_FILE
        try:
            result = read_json(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:  # of a name that is too long, too: other records have it
            raise InputError(f"{file}: not readable as JSON ({visible(error)[:200]}); {_RETRAIN}") from error
        if not isinstance(result, dict) or "status" not in result:
            raise InputError(f"{file}: has no 'status'; {_RETRAIN}")
        try:
            check_arguments(Result, result)
        except InputError as error:
            raise InputError(f"{file}: {error}; {_RETRAIN}") from error
        return dict(without_codes(result))

    def written(self) -> int:
        """Return when ``result.json`` was last written, in nanoseconds since 1970; 0 where there is none."""
        file = self.path / RESULT_FILE
        return file.stat().st_mtime_ns if file.exists() else 0

    def update(self, **fields: Any) -> dict[str, Any]:
        """Merge ``fields`` into ``result.json`` and return what it holds then."""
        result = (self.result() or {}) | fields
        write_text(self.path / RESULT_FILE, json.dumps(result, indent=2, allow_nan=False) + "\n")
        return result

    def write_progress(self, **fields: Any) -> None:
        """Write ``progress.json``: how far a run in training is.

        It is a file of its own because any rank may write the last line of ``result.json``.
        """
        write_text(self.path / PROGRESS_FILE, json.dumps(fields) + "\n", parents=False)

    def is_there(self) -> bool:
        """Return whether the directory still exists; its configuration is written first and never removed."""
        return (self.path / ".hydra" / "config.yaml").is_file()

    def remove_leftovers(self) -> None:
        """Remove files that killed processes have left half written; the caller holds the run's lock."""
        for folder in (
            self.path,
            self.path / ".hydra",
            self.checkpoints,
            self.pictures,
            self.pictures / "test",
        ):
            for file in folder.glob(f".*{ASIDE}"):
                with suppress(OSError):
                    file.unlink()

    def progress(self) -> dict[str, Any]:
        """Return ``progress.json`` as a dict, empty where there is none that can be used."""
        try:
            found = read_json(self.path / PROGRESS_FILE)
            check_arguments(Progress, found if isinstance(found, dict) else {"fraction": found})
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_trained_on(self, record: Mapping[str, Any]) -> None:
        """Write ``trained_on.json``: fingerprints of the mattes that the run is trained on."""
        write_text(self.path / TRAINED_ON_FILE, json.dumps(record) + "\n")

    def trained_on(self) -> Any:
        """Return what ``trained_on.json`` holds, unchecked; None where there is none.

        Raises:
            InputError: it is not JSON.
        """
        file = self.path / TRAINED_ON_FILE
        try:
            return read_json(file)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{file}: not readable as JSON ({visible(error)[:80]}); "
                "remove it, and what the run was trained on is unknown"
            ) from None

    def clear(self) -> None:
        """Remove what an earlier run has left, except for the lock and the launcher's log."""
        for child in self.path.iterdir() if self.path.is_dir() else ():
            if child.is_dir():
                shutil.rmtree(child)
            elif child.name not in (LOCK_FILE, OUTPUT_FILE):
                child.unlink()

    def config(self, *sections: str) -> DictConfig:
        """Return the configuration that the run was started with, as plain data, whoever wrote it.

        Hydra's own keys are left out. References are refused: `write_config` has resolved them, and those of
        a stranger could read the environment (``${oc.env:…}``).

        Args:
            sections: keys that must have keys with values.

        Raises:
            InputError: there is none, it can't be read, it has references, or it lacks one of ``sections``.
        """
        file = self.path / ".hydra" / "config.yaml"
        if not file.is_file():
            raise InputError(
                f"{self.path}: not a run directory (it has no .hydra/config.yaml); "
                "give one that `deepmatte train` made"
            )
        plain = _read_yaml(file)
        if not isinstance(plain, dict):
            raise InputError(f"{file}: holds no keys; give a run directory that `deepmatte train` made")
        for key in sections:
            if not isinstance(plain.get(key), dict):
                raise InputError(f"{file}: has no section {key}; give a run directory of `deepmatte train`")
        config = {key: value for key, value in plain.items() if key not in ("hydra", "defaults")}
        for key, text in _references(config):
            line = " ".join(text.split())[:200]
            raise InputError(f"{file}: {key}={line}: holds a reference; write the value in its place")
        return OmegaConf.create(config)

    def check_links(self) -> None:
        """Refuse links out of the directory, which a stranger may have made, before anything is written.

        Only the files in ``checkpoints/`` may be links, which are read, or replaced as they are, and the one
        log of W&B that it links to its own in the user's cache; nothing reads or writes an earlier run's.

        Raises:
            InputError: it names the link.
        """
        top = self.path.resolve()
        for folder, folders, files in os.walk(self.path):
            linked = [Path(folder, name) for name in (*folders, *files) if Path(folder, name).is_symlink()]
            for place in linked:
                if place.parent == self.checkpoints and place.is_file():
                    continue
                inside = place.relative_to(self.path)
                if (
                    len(inside.parts) == 4
                    and inside.match("wandb/*/logs/debug-core.log")
                    and not place.is_dir()
                ):
                    continue
                if _leads_to_itself(place) or not place.resolve().is_relative_to(top):
                    cure = "put what it leads to in its place, or remove it"
                    raise InputError(f"{printable(place)}: is a link out of the run directory; {cure}")

    def resumed(self, mode: str, *sections: str, tracking_uri: str | None = None) -> DictConfig:
        """Return `config` for a run that is resumed here: it is logged where the arguments say.

        Whoever wrote the directory can't send a run online; a run that was never logged stays so offline.

        Args:
            mode: of Weights & Biases, from the command line or the environment.
            sections: keys that must have keys with values.
            tracking_uri: of MLflow, likewise.

        Raises:
            InputError: as `config`, and as `check_links`.
        """
        self.check_links()
        config = self.config("wandb", *sections)
        if not (mode == "offline" and config.wandb.get("mode") == "disabled"):
            config.wandb.mode = mode
        config.mlflow = {"tracking_uri": tracking_uri}
        return config

    def overrides(self) -> list[str]:
        """Return the overrides that the run was started with, as text."""
        file = self.path / ".hydra" / "overrides.yaml"
        lines = _read_yaml(file) if file.is_file() else []
        return [visible(override) for override in lines] if isinstance(lines, list) else []

    def write_config(self, config: DictConfig, overrides: Sequence[str]) -> None:
        """Write ``.hydra/config.yaml`` (resolved) and ``.hydra/overrides.yaml``."""
        write_text(self.path / ".hydra" / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
        write_text(self.path / ".hydra" / "overrides.yaml", OmegaConf.to_yaml(list(overrides)))

    def write_per_image(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write ``per_image.csv``; the columns are the keys of the first row."""
        buffer = StringIO()
        writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else ["image"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path / PER_IMAGE_FILE, buffer.getvalue())


def _leads_to_itself(link: Path) -> bool:
    """Return whether following ``link`` never ends; `Path.resolve` no longer says so from Python 3.13 on."""
    try:
        link.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _read_yaml(file: Path) -> Any:
    """Return what ``file`` holds as plain data, with references as text."""
    try:
        check_yaml(file)
        return OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"{file}: not readable as YAML ({visible(error)[:200]})") from error


def _references(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts with ``${`` and their keys."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield from _references(child, f"{key}.{name}" if key else str(name))
    if isinstance(node, str) and "${" in node:
        yield key, node


def checked_run_dir(path: Path, config_hash: str) -> RunDir:
    """Return ``path`` as the directory of the run with this hash; another run's directory is an error."""
    run = RunDir(path)
    result = run.result()
    if result is not None and result.get("config_hash") != config_hash:
        other = f"({result.get('config_hash')}, not {config_hash})"
        raise InputError(
            f"{path}: holds a run of another configuration {other}; choose another hydra.run.dir"
        )
    return run
