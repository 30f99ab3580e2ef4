"""Offline composition with proof: images made by the data set's recipe, and their checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from deepmatte.data.composition1k.adobe import composed, explain, pixel_sum
from deepmatte.data.composition1k.plan import Composite, Inputs
from deepmatte.data.parallel import spread
from deepmatte.data.sources.images import read_as_stored, read_image, write_png
from deepmatte.data.sources.splits import stem_of
from deepmatte.errors import InputError
from deepmatte.files import printable, write_text, writing
from deepmatte.plain import read_json

MANIFEST = "manifest.json"
FORMAT = 1
_JOURNAL = ".composing.jsonl"
_CHUNK = 20


def compose(
    images: Sequence[Composite], inputs: Inputs, out: Path, processes: int | None = None
) -> dict[str, Any]:
    """Compose what ``out`` lacks, and write the manifest.

    A call that was killed is resumed.

    Raises:
        InputError: a file can't be read, or ``out`` holds other images.
    """
    for name in dict.fromkeys(composite.background for composite in images):
        inputs.background(name)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    journal = out / _JOURNAL
    done = _done(out, images)
    todo = [composite for composite in images if composite.image not in done]
    chunks = _chunks(todo)
    jobs = [(chunk, inputs, out) for chunk in chunks]
    with writing(journal), journal.open("a", encoding="utf-8") as file:
        for records in spread(_compose_chunk, jobs, processes, "composing", [len(chunk) for chunk in chunks]):
            for record in records:
                done[record["image"]] = record
                file.write(json.dumps(record) + "\n")
            file.flush()
    manifest = _manifest([done[composite.image] for composite in images])
    write_text(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    with writing(journal):
        journal.unlink()
    return {**manifest, "num_composed": len(todo)}


def _chunks(images: Sequence[Composite]) -> list[list[Composite]]:
    """Return the images in groups of one foreground, so that it is decoded once for all of a group."""
    chunks: list[list[Composite]] = []
    for composite in images:
        if not chunks or chunks[-1][0].foreground != composite.foreground or len(chunks[-1]) == _CHUNK:
            chunks.append([])
        chunks[-1].append(composite)
    return chunks


def _done(out: Path, images: Sequence[Composite]) -> dict[str, dict[str, Any]]:
    """Return the records of the images that an earlier call has finished."""
    wanted = {composite.image: composite for composite in images}
    records: list[dict[str, Any]] = []
    for file in (out / MANIFEST, out / _JOURNAL):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            records += read_manifest(file)["images"] if file.name == MANIFEST else list(_journal_lines(text))
    done = {}
    for record in records:
        composite = wanted.get(record["image"])
        if composite is None or (composite.foreground, composite.background) != (
            record["foreground"],
            record["background"],
        ):
            raise InputError(
                f"{printable(out)}: holds the images of another composition; "
                "choose another --out, or remove it"
            )
        path = out / record["image"]
        if path.is_file() and path.stat().st_size == record["bytes"]:
            done[record["image"]] = record
    return done


def _journal_lines(text: str) -> Iterable[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the line that was being written when the call was killed
            continue


def _compose_chunk(job: tuple[Sequence[Composite], Inputs, Path]) -> list[dict[str, Any]]:
    chunk, inputs, out = job
    foreground, alpha = _layers(inputs, chunk[0].foreground)
    records = []
    for composite in chunk:
        background = read_as_stored(inputs.background(composite.background), "RGB")
        pixels = composed(foreground, alpha, background)
        assert pixels is not None
        path = out / composite.image
        write_png(path, pixels)
        own = hashlib.sha256(
            (pixel_sum(foreground) + pixel_sum(alpha) + pixel_sum(np.asarray(background))).encode()
        ).hexdigest()
        records.append(
            {
                **asdict(composite),
                "sha256": pixel_sum(pixels),
                "inputs_sha256": own,
                "bytes": path.stat().st_size,
            }
        )
    return records


def _layers(inputs: Inputs, name: str) -> tuple[np.ndarray, np.ndarray]:
    foreground = np.asarray(read_as_stored(inputs.foregrounds[name], "RGB"))
    alpha = np.asarray(read_as_stored(inputs.alphas[name], "L"))
    if foreground.shape[:2] != alpha.shape:
        own, other = (f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in (alpha, foreground))
        sizes = f"{own} pixels, but {printable(inputs.foregrounds[name])} {other}"
        raise InputError(f"{printable(inputs.alphas[name])}: has {sizes}; they have to be the same")
    return foreground, alpha


def _manifest(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    lines = "".join(f"{record['sha256']}  {record['image']}\n" for record in records)
    return {
        "format": FORMAT,
        "made": "as Composition_code.py of Adobe Image Matting; "
        "sha256 is of the pixels: WIDTHxHEIGHT, newline, RGB bytes",
        "versions": {name: version(name) for name in ("deepmatte", "pillow")},
        "num_images": len(records),
        "sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "images": list(records),
    }


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest.

    Raises:
        InputError: it is missing or no manifest.
    """
    try:
        content = read_json(path)
        texts = [
            content["sha256"],
            *(
                line[key]
                for line in content["images"]
                for key in ("image", "sha256", "foreground", "background")
            ),
        ]
        numbers = [line["bytes"] for line in content["images"]]
        if content["format"] != FORMAT or {*map(type, texts)} != {str} or not {*map(type, numbers)} <= {int}:
            raise ValueError
    except OSError:
        raise InputError(
            f"{printable(path)}: there is no such manifest; `deepmatte data compose` writes one"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{printable(path)}: is no manifest of `deepmatte data compose`, or one of another version"
        ) from None
    return content


def check_manifest(manifest: Mapping[str, Any], folder: Path, processes: int | None = None) -> dict[str, str]:
    """Return what is wrong with the images of a folder, by their names in the order of the manifest."""
    jobs = [(folder / record["image"], record["sha256"]) for record in manifest["images"]]
    problems = spread(_check_image, jobs, processes, "verifying")
    return {
        record["image"]: problem
        for record, problem in zip(manifest["images"], problems, strict=True)
        if problem
    }


def _check_image(job: tuple[Path, str]) -> str:
    path, expected = job
    if not path.is_file():
        return "is missing"
    try:
        return "" if pixel_sum(read_image(path)) == expected else "differs"
    except InputError as error:
        return str(error).removeprefix(f"{printable(path)}: ")


def diagnose(record: Mapping[str, Any], folder: Path, inputs: Inputs) -> str:
    """Return a sentence on why an image differs from its manifest.

    Raises:
        InputError: one of the files can't be read.
    """
    stem = stem_of(record["foreground"])
    for kind, known in (("foreground", inputs.foregrounds), ("alpha matte", inputs.alphas)):
        if stem not in known:
            return f"no {kind} of the name {printable(stem)} is there to compare with"
    foreground, alpha = _layers(inputs, stem)
    background = read_as_stored(inputs.background(record["background"]), "RGB")
    own = composed(foreground, alpha, background)
    if own is not None and pixel_sum(own) != record["sha256"]:
        return (
            "the foreground, matte or background here is not the one that the manifest was made of "
            "(or decodes to other pixels)"
        )
    return explain(read_image(folder / record["image"]), foreground, alpha, background)
