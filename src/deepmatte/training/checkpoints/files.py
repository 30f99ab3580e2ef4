"""Checkpoint files: written atomically, read as plain data, and found again where the newest is damaged."""

from __future__ import annotations

import io
import sys
import traceback
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from deepmatte.errors import InputError, check_arguments, visible
from deepmatte.files import write_bytes

LAST, BEST = "last.ckpt", "best.ckpt"


@dataclass(frozen=True)
class About:
    """What a checkpoint says of itself under ``deepmatte`` (`MattingModule.on_save_checkpoint`)."""

    stage: str
    refine: bool
    scores: Mapping[str, float | None]
    first_epoch: int = 0
    epochs_done: int = 0
    model: str | None = None
    config_hash: str | None = None
    handed_over_to: str | None = None


STATE = ("state_dict", "epoch", "global_step", "loops", "callbacks", "optimizer_states", "lr_schedulers")
"""What Lightning's checkpoints have and a run needs to resume; for evaluation the weights are enough."""


_RESTORES = "checkpoint_connector"
"""Lightning's module that restores a checkpoint."""

ALWAYS = ("stage", "refine", "scores")
RESUMED = ("first_epoch", "epochs_done")
"""What a checkpoint says of itself under ``deepmatte``: always, and where a run resumes from it."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint atomically: the earlier one stays until the new one is on the disk.

    Lightning's own writes to ``$TMPDIR`` first; where that is another file system, as on most clusters, its
    rename is a copy over the earlier checkpoint, and a kill or a full disk leaves neither.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``; a run directory that is gone is not made again.

        Raises:
            InputError: it can't be written.
        """
        buffer = io.BytesIO()  # torch's own writer to a file that fails ends in an error of another kind
        torch.save(checkpoint, buffer)
        with buffer.getbuffer() as data:  # let go of at once: a cycle with it crashes Python before 3.12.3
            write_into_run(Path(path), data)


def write_into_run(path: Path, data: bytes | memoryview) -> None:
    """Write a file into a folder of a run directory, which has to be there."""
    if path.parent.parent.is_dir():
        path.parent.mkdir(exist_ok=True)
    write_bytes(path, data, parents=False)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint as plain data; a missing, broken or foreign file is an `InputError`."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such checkpoint; train the run first, or give checkpoint=PATH")
    try:
        _check_unpacked(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything, also without a message
        reason = visible(error)[:120] or "the file is empty or cut off"
        raise InputError(f"{path}: not a readable checkpoint ({reason})") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("deepmatte"), dict):
        raise InputError(f"{path}: not a checkpoint of deepmatte; give one from a run's checkpoints/ folder")
    _check_parts(path, checkpoint["deepmatte"], ALWAYS, "it is no checkpoint of deepmatte's")
    check_arguments(About, checkpoint["deepmatte"], f"{path}: deepmatte")
    return checkpoint


def _check_unpacked(path: Path) -> None:
    """Refuse an archive that unpacks to more than it holds, before it fills the memory: torch packs nothing.

    Raises:
        ValueError: it does.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > path.stat().st_size:
            raise ValueError(f"it would unpack to {unpacked / 1e6:.0f} MB; torch.save packs nothing")


def newest_checkpoint(folder: Path, *, mend: bool) -> tuple[dict[str, Any], bool]:
    """Return what a run resumes from, and whether that is the best checkpoint because the last is damaged.

    Args:
        folder: the run's ``checkpoints/``.
        mend: put the earlier one in the last one's place, and say so; for the one process that writes into
            the run.

    Raises:
        InputError: neither of the two can be read.
    """
    try:
        return _resumable(folder / LAST), False
    except InputError as error:
        damaged = error
    try:
        earlier = _resumable(folder / BEST)
    except InputError:
        raise InputError(f"{damaged}, and there is no earlier one; force=true retrains the run") from damaged
    if mend:
        write_into_run(folder / LAST, (folder / BEST).read_bytes())
        done = earlier["deepmatte"]
        place = f"{BEST} ({done['stage']}, {done['epochs_done']} epochs done)"
        print(f"deepmatte: {damaged}; resuming from {place}", file=sys.stderr)
    return earlier, True


def _resumable(path: Path) -> dict[str, Any]:
    """Return a checkpoint that has the state of training, too, beside the weights."""
    checkpoint = read_checkpoint(path)
    for content, parts in ((checkpoint, STATE), (checkpoint["deepmatte"], RESUMED)):
        _check_parts(path, content, parts, "no run can resume from it")
    return checkpoint


def _check_parts(path: Path, content: Mapping[str, Any], parts: Sequence[str], so: str) -> None:
    if missing := [part for part in parts if part not in content]:
        raise InputError(f"{path}: has no {', '.join(missing)}, so {so}")


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Turn what Lightning raises while it restores the state of a checkpoint into one line that names it.

    Its parts are of kinds of their own, as the trainer, callbacks and optimiser wrote them; a stranger's may
    be anything.

    Raises:
        InputError: a part of it is not what the trainer wrote.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).stem == _RESTORES for frame in frames):
            raise
        reason = f"{type(error).__name__}: {visible(error)[:120]}"
        raise InputError(f"{path}: can't be resumed from ({reason}); force=true retrains the run") from error


def hand_over_best(folder: Path, stage: str) -> None:
    """Put the weights of ``best.ckpt`` into ``last.ckpt``, from which ``stage`` starts.

    That is done once, before the stage: its own first validation may replace ``best.ckpt``, and if the run is
    killed before ``last.ckpt`` follows, the stage has to start from the same weights again.
    """
    last = read_checkpoint(folder / LAST)
    if last["deepmatte"].get("handed_over_to") == stage:
        return
    best = read_checkpoint(folder / BEST)
    for key in ("current_model_state", "statistics"):  # of the weights that are replaced
        last.pop(key, None)
    last["state_dict"] = best["state_dict"]
    last["deepmatte"]["handed_over_to"] = stage
    AtomicCheckpointIO().save_checkpoint(last, folder / LAST)
