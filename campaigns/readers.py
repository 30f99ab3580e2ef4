"""Every reader of files that strangers may have written, with right files to start from."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from hypothesis import strategies as st
from PIL import Image
from simulated_runs import write_run
from torch import nn

from campaigns.inputs import WORDS, documents, edited

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


def _spoilt(
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


def _strange(
    file: str, whole: Any, *reads: Read, written: Callable[[Any], bytes] | None = None, share: float = 1.0
) -> Reader:
    """Return a reader of documents with strange values, or spoilt bytes."""
    write = written or (lambda document: json.dumps(document).encode(errors="surrogatepass"))
    seed = write(whole)
    strategy = st.one_of(documents(whole, write), documents(whole, write), edited([seed]))
    return Reader(file, (seed,), reads, strategy, share)


def readers(folder: Path) -> dict[str, Reader]:
    """Return all readers by name; ``folder`` becomes a finished run, in which each try replaces a file."""
    write_run(folder, ["loss=alpha"], 0, np.linspace(1, 2, 8), parts=True)
    (folder / "checkpoints").mkdir()
    return {**_pictures(), **_of_runs(folder), **_of_sweeps(), **_tables(folder), **_binaries(), **_words()}


# ---- pictures ----------------------------------------------------------------------------------------------


def _pictures() -> dict[str, Reader]:
    from deepmatte.data.sources import decoding, images
    from deepmatte.scoring.hints import strokes_of_pixels

    def deep(path: Path) -> None:
        images.read_as_stored(path, "RGB")

    reads: tuple[Read, ...] = (
        lambda folder: decoding.read_header(next(folder.glob("picture.*"))),
        lambda folder: decoding.check_complete(next(folder.glob("picture.*"))),
        lambda folder: images.read_image(next(folder.glob("picture.*")), 4),
        lambda folder: images.read_alpha(next(folder.glob("picture.*"))),
        lambda folder: images.read_trimap(next(folder.glob("picture.*"))),
        lambda folder: images.read_cutout(next(folder.glob("picture.*"))),
        lambda folder: strokes_of_pixels(decoding.decoded(next(folder.glob("picture.*"))), "strokes"),
        lambda folder: deep(next(folder.glob("picture.*"))),
    )
    grey = np.random.default_rng(0).integers(0, 256, (24, 17), dtype=np.uint8)
    colours = np.dstack([grey, 255 - grey, grey // 2])
    deep_png = cv2.imencode(".png", np.dstack([grey, grey, grey, grey]).astype(np.uint16) * 257)[1].tobytes()
    found = {
        "png": (
            [
                _saved(grey, "PNG"),
                _saved(np.dstack([colours, grey]), "PNG"),
                _saved(colours, "PNG", exif=_exif()),
                _saved(grey, "PNG", palette=True),
                deep_png,
            ],
            with_png_checksums,
        ),
        "jpg": ([_saved(colours, "JPEG", exif=_exif()), _saved(grey, "JPEG", progressive=True)], None),
        "webp": ([_saved(colours, "WEBP"), _saved(np.dstack([colours, grey]), "WEBP", lossless=True)], None),
        "tif": (
            [_saved(colours, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
            + [_saved(grey, "TIFF")],
            None,
        ),
        "bmp": ([_saved(colours, "BMP"), _saved(grey, "BMP", palette=True)], None),
    }
    return {
        f"pictures.{suffix}": _spoilt(f"picture.{suffix}", seeds, *reads, share=2, wrap=wrap)
        for suffix, (seeds, wrap) in found.items()
    }


def _saved(pixels: np.ndarray, kind: str, palette: bool = False, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert("P") if palette else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def with_png_checksums(content: bytes) -> bytes:
    """Return a PNG with right checksums, so that what was spoilt inside its chunks is decoded."""
    result, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + length]
        if at + 12 + length > len(content):
            break
        result += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(result + content[at:])


# ---- run directories ---------------------------------------------------------------------------------------


def _of_runs(folder: Path) -> dict[str, Reader]:
    from deepmatte.compare.records.grouping import group_settings
    from deepmatte.compare.records.reading import Run, read_run
    from deepmatte.data.procedural import ProceduralData
    from deepmatte.runs.directory import RunDir
    from deepmatte.runs.locks import holder
    from deepmatte.scoring.known import known_images
    from deepmatte.sweeps.status import read_sweep, view
    from deepmatte.training.tracking.curves import Curves

    def compared(run: Path) -> None:
        found = read_run(run)
        if isinstance(found, Run):
            group_settings([found])

    def shown(run: Path) -> None:
        _printed(view(read_sweep(run.parent)))

    config = yaml.safe_load((folder / ".hydra/config.yaml").read_text())
    config |= {
        "model": {"_target_": "deepmatte.models.DeepImageMatting", "width": 0.1},
        "wandb": {"mode": "offline"},
    }
    source = ProceduralData(num_train=2, num_val=1, num_test=1, size=96, cache_dir=str(folder / "drawn"))
    record = {"format": 1, "mattes": [["a", 9, 9, "ab", "00" * 144]], "drawn": [["a", "1", "ab"]]}

    data: Any = SimpleNamespace(source=source, on_error="stop", shown=lambda split: SimpleNamespace(names=[]))

    def known(run: Path) -> None:
        known_images(RunDir(run), data, "test")

    return {
        "run.config": _strange(
            ".hydra/config.yaml",
            config,
            lambda run: RunDir(run).config("model"),
            lambda run: RunDir(run).resumed("offline", "model"),
            written=_as_yaml,
        ),
        "run.overrides": _strange(
            ".hydra/overrides.yaml",
            ["loss=alpha", "seed=0"],
            lambda run: RunDir(run).overrides(),
            compared,
            written=_as_yaml,
        ),
        "run.result": _strange(
            "result.json", json.loads((folder / "result.json").read_text()), compared, shown, share=3
        ),
        "run.progress": _strange(
            "progress.json",
            {"fraction": 0.5, "seconds_left": 3.0, "cost": {"seconds": 1.0}},
            lambda run: RunDir(run).progress(),
        ),
        "run.trained_on": _strange("trained_on.json", record, known),
        "run.lock": _strange(".lock", {"host": "a", "pid": 1}, holder, share=0.5),
        "run.curves": _spoilt(
            "metrics.csv",
            [b"epoch,step,train/loss\r\n0,0,0.5\r\n0,1,0.4\r\n1,2,0.3\r\n"],
            lambda run: Curves(run).keep_until(2),
            lambda run: _curves(run),
        ),
        "run.per_image": _spoilt(
            "per_image.csv", [(folder / "per_image.csv").read_bytes()[:4000]], compared, share=2
        ),
    }


def _curves(run: Path) -> None:
    from deepmatte.compare.records.reading import Run, read_run
    from deepmatte.reports.curves import read_curves

    found = read_run(run)
    if isinstance(found, Run):
        read_curves(found, ["train/loss", "val/sad"])


def _printed(renderable: Any) -> None:
    from rich.console import Console

    Console(file=io.StringIO(), width=100).print(renderable)


def _as_yaml(document: Any) -> bytes:
    return yaml.safe_dump(document).encode(errors="surrogatepass")


# ---- sweeps, races, manifests ------------------------------------------------------------------------------


def _of_sweeps() -> dict[str, Reader]:
    from deepmatte.compare.records.races import open_race
    from deepmatte.data.composition1k.manifest import check_manifest, read_manifest
    from deepmatte.sweeps.status import read_sweep, view

    def shown(run: Path) -> None:
        _printed(view(read_sweep(run)))

    def checked(folder: Path) -> None:
        check_manifest(read_manifest(folder / "manifest.json"), folder, 1)

    sweep = {
        "jobs": [{"run": "a", "overrides": ["seed=0"]}],
        "shared": ["seed=0"],
        "parallel": 2,
        "started": "2026-11-29T10:00:00+00:00",
        "process": {"host": "a", "pid": 1},
        "command": "deepmatte train -m seed=0",
        "objective": ["val/sad"],
        "cost": {},
    }
    image = {
        "image": "a.png",
        "foreground": "a",
        "background": "b",
        "sha256": "ab",
        "bytes": 9,
        "inputs_sha256": "a",
    }
    manifest = {"format": 1, "made": "", "versions": {}, "num_images": 1, "sha256": "ab", "images": [image]}
    decision = {"level": 0.5, "ranking": ["a"], "dropped": [], "equal": False}
    race = {
        "about": {"metric": "sad"},
        "plan": {},
        "settings": ["a"],
        "rounds": [{"seeds": [0], "runs": {"a": {"0": "x"}}, "failed": [], "decision": decision}],
    }
    from deepmatte.compare.racing import Plan

    plan = Plan()
    race["plan"] = json.loads(json.dumps(vars(plan)))
    return {
        "sweep": _strange("sweep.json", sweep, shown, share=2),
        "manifest": _strange("manifest.json", manifest, checked, share=2),
        "race": _strange(
            "race.json", race, lambda run: open_race(run, plan, {"metric": "sad"}, ["a"]).runs()
        ),
    }


# ---- tables and lists --------------------------------------------------------------------------------------


def _tables(folder: Path) -> dict[str, Reader]:
    from deepmatte.compare.records.csv_scores import read_score_files
    from deepmatte.data.sources.splits import read_lines, read_names

    table = {
        "protocol": "adobe",
        "mean": {"sad": 1.0},
        "images": [{"image": "a", "sad": 1.0}, {"image": "b", "sad": 2}],
    }
    return {
        "scores.json": _strange("scores.json", table, lambda run: read_score_files([run / "scores.json"])),
        "scores.csv": _spoilt(
            "scores.csv",
            [b"image,protocol,sad,mse\na,adobe,1.5,2\nb,adobe,2.5,3\n"],
            lambda run: read_score_files([run / "scores.csv"]),
        ),
        "names": _spoilt(
            "names.txt",
            [b"a.png\nfolder/b.jpg\n", "\ufeffé\n".encode()],
            lambda run: read_lines(run / "names.txt", "--names"),
            lambda run: read_names(run / "names.txt", "--names"),
            share=0.5,
        ),
    }


# ---- checkpoints and caches --------------------------------------------------------------------------------


def _binaries() -> dict[str, Reader]:
    from deepmatte.data.cache.arrays import ArrayFolder
    from deepmatte.models.vgg import read_vgg16
    from deepmatte.models.weights import load_weights
    from deepmatte.training.checkpoints import newest_checkpoint, read_checkpoint

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
        "checkpoint": _spoilt("checkpoints/last.ckpt", [buffer.getvalue()], *reads, share=2),
        "checkpoint.pickle": _spoilt(
            "checkpoints/last.ckpt",
            [pickled],
            *reads,
            share=2,
            wrap=lambda spoilt: _repacked(buffer.getvalue(), spoilt),
        ),
        "weights": _spoilt("vgg.pth", [buffer.getvalue()], lambda run: read_vgg16(str(run / "vgg.pth"))),
        "cache": _spoilt("cached.npy", [_cached()], cached, share=2),
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


# ---- what stands on command lines and in the environment ---------------------------------------------------


def _words() -> dict[str, Reader]:
    from deepmatte.config.compose import compose
    from deepmatte.runs.context import CONTEXT, SweepContext

    def text(folder: Path) -> str:
        return next(folder.glob("word*")).read_bytes().decode(errors="surrogateescape")

    context = {"parent": 3, "run": "/a", "launcher": {"host": "a", "pid": 1, "stop_file": "b"}, "gpus": ["0"]}
    override = st.builds(
        lambda key, value: f"{key}={value}".encode(errors="surrogatepass"),
        st.sampled_from(
            ["loss", "seed", "loss.alpha.weight", "data", "+new", "~seed", "stages", "trainer.devices"]
        ),
        st.one_of(st.sampled_from(WORDS), st.text(max_size=12)),
    )
    return {
        "context": _strange(
            "word.json", context, lambda folder: SweepContext.read({CONTEXT: text(folder)}), share=0.5
        ),
        "override": Reader(
            "word.txt",
            (b"loss=alpha",),
            (lambda folder: compose("train", [text(folder)]),),
            override,
            share=0.02,
        ),
    }
