"""Readers of checkpoints, weights and caches."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from campaigns.readers.reader import Read, Reader, spoilt


def binaries() -> dict[str, Reader]:
    """Return what reads checkpoints, weights and caches."""
    from deepmatte.data.cache.arrays import ArrayFolder
    from deepmatte.models.vgg import read_vgg16
    from deepmatte.models.weights import load_weights
    from deepmatte.training.checkpoints.files import newest_checkpoint, read_checkpoint

    own = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))

    def loaded(run: Path) -> None:
        checkpoint = read_checkpoint(run / "checkpoints/last.ckpt")
        load_weights(own, checkpoint, "last.ckpt")

    def resumed(run: Path) -> None:
        newest_checkpoint(run / "checkpoints", mend=True)

    def cached(run: Path) -> None:
        arrays = ArrayFolder(run).read("cached") or {}
        for array in arrays.values():
            np.asarray(array).tobytes()

    state = {f"model.{name}": value for name, value in own.state_dict().items()}
    about = {"stage": "joint", "first_epoch": 0, "epochs_done": 1, "refine": True, "scores": {"val/sad": 1.0}}
    content = {
        "deepmatte": about,
        "state_dict": state,
        "epoch": 1,
        "global_step": 2,
        "loops": {},
        "callbacks": {},
    }
    content |= {"optimizer_states": [], "lr_schedulers": []}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    pickled = zipfile.ZipFile(buffer).read("archive/data.pkl")
    reads: tuple[Read, ...] = (loaded, resumed)
    return {
        "checkpoint": spoilt("checkpoints/last.ckpt", [buffer.getvalue()], *reads, share=2),
        "checkpoint.pickle": spoilt(
            "checkpoints/last.ckpt",
            [pickled],
            *reads,
            share=2,
            wrap=lambda spoilt: _repacked(buffer.getvalue(), spoilt),
        ),
        "weights": spoilt("vgg.pth", [buffer.getvalue()], lambda run: read_vgg16(str(run / "vgg.pth"))),
        "cache": spoilt("cached.npy", [_cached()], cached, share=2),
    }


def _repacked(archive: bytes, pickled: bytes) -> bytes:
    """Return a checkpoint with another pickle in it, with right checksums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            content = pickled if entry.filename.endswith("data.pkl") else old.read(entry)
            new.writestr(entry.filename, content)
    return buffer.getvalue()


def _cached() -> bytes:
    from tempfile import TemporaryDirectory

    from deepmatte.data.cache.arrays import ArrayFolder

    with TemporaryDirectory() as place:
        folder = ArrayFolder(Path(place))
        folder.write("a", {"alpha": np.arange(12, dtype=np.uint8).reshape(3, 4), "edges": np.arange(4)})
        return folder.path("a").read_bytes()
