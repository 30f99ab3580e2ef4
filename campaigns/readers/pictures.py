"""Readers of pictures."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from campaigns.readers.reader import Read, Reader, spoilt


def pictures() -> dict[str, Reader]:
    """Return what reads pictures."""
    from deepmatte.data.sources import decoding, images
    from deepmatte.scoring.photographs.hints import strokes_of_pixels

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
        f"pictures.{suffix}": spoilt(f"picture.{suffix}", seeds, *reads, share=2, wrap=wrap)
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
