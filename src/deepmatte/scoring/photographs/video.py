"""Mattes of a video, frame by frame, in the memory of one frame; OpenCV reads and writes it."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deepmatte.data.sources.images import mark_of, quantise, read_image, write_png
from deepmatte.data.sources.plates import check_plate
from deepmatte.errors import InputError, RunError
from deepmatte.files import printable
from deepmatte.ops.compositing import composite
from deepmatte.scoring.photographs.hints import partners_of
from deepmatte.scoring.photographs.predict import digest_of, enough_memory, matted
from deepmatte.scoring.photographs.prediction import Predictor

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
"""Names of files that are taken for videos."""

USUAL_RATE = 25.0
"""Frames a second where a video does not say."""

_MARK = b"deepmatte "
"""Begins the content of the box at the end of an MP4 file that holds its mark."""


@dataclass(frozen=True)
class VideoOutput:
    """What is written of a video, and where.

    Args:
        folder: created if it is missing.
        frames: PNG files of matte and cut-out, NAME/000000_alpha.png and so on, which lose nothing; else
            the videos NAME_alpha.mp4 and NAME_cutout.mp4.
        colour: red, green and blue, 0 to 255, behind the cut-out of the video.
        bits: of the frames' files, 8 or 16.
        background: image behind the new composite, or None for no composite.
        solver: as of `deepmatte.scoring.photographs.predict.Output`.
    """

    folder: Path
    frames: bool = False
    colour: tuple[int, int, int] = (0, 255, 0)
    bits: int = 8
    background: Path | None = None
    solver: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of pictures that are written."""
        return ("alpha", "cutout") if self.background is None else ("alpha", "cutout", "composite")

    def places(self, video: Path) -> list[Path]:
        """Return the files that are written of a video, or the folder of its frames."""
        if self.frames:
            return [self.folder / video.stem]
        return [self.folder / f"{video.stem}_{kind}.mp4" for kind in self.kinds]

    def frame(self, video: Path, number: int) -> dict[str, Path]:
        """Return the files of a frame by their kind."""
        return {kind: self.folder / video.stem / f"{number:06d}_{kind}.png" for kind in self.kinds}

    def mark(self, video: Path, plate: Path) -> str:
        """Return the digest of all that the files of a video are made of; empty without a solver."""
        made_of = (self.frames, self.colour, self.bits, *self.kinds, video, plate, self.background)
        return digest_of(self.solver, *made_of) if self.solver else ""

    def is_done(self, video: Path, mark: str) -> bool:
        """Return whether all that is written of a video is there and has this mark, which is not empty."""
        if not self.frames:
            return mark != "" and all(mark_of_video(place) == mark for place in self.places(video))
        with contextlib.closing(Frames(video)) as frames:
            files = (file for number, _ in enumerate(frames) for file in self.frame(video, number).values())
            return mark != "" and all(mark_of(file) == mark for file in files)

    def check(self, videos: list[Path]) -> None:
        """Refuse outputs that would overwrite an input, and videos of one name.

        Raises:
            InputError: it names the file.
        """
        read, names = {video.resolve() for video in videos}, set()
        for video in videos:
            if video.stem in names:
                raise InputError(
                    f"{printable(video)}: has the same name as another; matte them in separate calls"
                )
            names.add(video.stem)
            for place in self.places(video):
                if place.resolve() in read:
                    raise InputError(
                        f"{printable(place)}: would be overwritten, but is an input; "
                        "give --out another folder"
                    )


class Frames:
    """The frames of a video, uint8 RGB (H, W, 3), one after the other.

    Raises:
        InputError: the file is missing, no video, or has no frames.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"{printable(path)}: there is no such file")
        self.path = path
        self._capture = cv2.VideoCapture(str(path))
        self.rate = self._capture.get(cv2.CAP_PROP_FPS) or USUAL_RATE
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        """As the file says, which may be wrong: 0 is unknown."""
        self._first = self._read()
        if self._first is None:
            self.close()
            raise InputError(f"{printable(path)}: OpenCV finds no frames in it; convert it to MP4 (H.264)")

    @property
    def first(self) -> np.ndarray:
        """The first frame."""
        assert self._first is not None
        return self._first

    def __iter__(self) -> Iterator[np.ndarray]:
        frame = self._first
        while frame is not None:
            yield frame
            frame = self._read()

    def _read(self) -> np.ndarray | None:
        found, frame = self._capture.read()
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if found else None

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


def plates_of(videos: Sequence[Path], plate: Path) -> dict[Path, Path]:
    """Return the plate of each video: ``plate``, or that of its name where ``plate`` is a folder.

    Raises:
        InputError: a video has none in the folder.
    """
    if not plate.is_dir():
        return dict.fromkeys(videos, plate)
    return {video: partners_of({video.stem: video}, plate, "plate")[video.stem] for video in videos}


def check_video(video: Path, plate: Path) -> list[str]:
    """Compare the first frame of a video with its plate; return warnings.

    Raises:
        InputError: a file can't be read, or the plate has another size or shows another background.
    """
    with contextlib.closing(Frames(video)) as frames:
        return check_plate(frames.first, read_image(plate), video, plate)


def predict_video(
    video: Path, plate: Path, predictor: Predictor, output: VideoOutput, mark: str = ""
) -> Iterator[int]:
    """Matte one frame after the other; yield how many frames there seem to be, then 1 for each that is done.

    Videos appear under their names once they are whole; all files get the ``mark``.

    Raises:
        InputError: a file can't be read or written.
        RunError: out of memory.
    """
    frames, pixels = Frames(video), read_image(plate)
    background = None if output.background is None else read_image(output.background)
    yield frames.count
    height, width = frames.first.shape[:2]
    places = [] if output.frames else output.places(video)
    writers = [_Writer(place, frames.rate, (width, height)) for place in places]
    try:
        for number, frame in enumerate(frames):
            if frame.shape != pixels.shape:
                raise RunError(f"{printable(video)}: frame {number} has another size than the first")
            with enough_memory(video, frame.shape):
                pictures = matted(frame, predictor(frame, pixels), background)
            if output.frames:
                for kind, file in output.frame(video, number).items():
                    bits = 8 if kind == "composite" else output.bits
                    write_png(file, quantise(pictures[kind], bits), mark=mark)
            else:
                for kind, writer in zip(output.kinds, writers, strict=True):
                    writer.append(_shown(kind, pictures, output.colour))
            yield 1
        for writer in writers:
            writer.finish(mark)
    finally:
        frames.close()
        for writer in writers:
            writer.discard()


def _shown(kind: str, pictures: dict[str, np.ndarray], colour: tuple[int, int, int]) -> np.ndarray:
    """Return the colours of a video's frame, (H, W, 3) in [0, 1]; the cut-out is laid over ``colour``."""
    alpha = pictures["alpha"][..., None]
    if kind == "alpha":
        return np.repeat(alpha, 3, -1)
    if kind == "composite":
        return pictures["composite"]
    behind = np.broadcast_to(np.array(colour) / 255, (*alpha.shape[:2], 3))
    return composite(pictures["cutout"][..., :3], behind, alpha)


def mark_of_video(path: Path) -> str:
    """Return the mark that an MP4 file of ours ends with; nothing where there is none, or no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64))
            _, found, mark = file.read().rpartition(_MARK)
    except OSError:
        return ""
    return mark.decode("ascii", "replace") if found else ""


class _Writer:
    """Writes a video under a name of its own, and gives it its place once it is whole."""

    def __init__(self, path: Path, rate: float, size: tuple[int, int]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.partial = path, path.with_name(f".{path.stem}.partial{path.suffix}")
        self._writer = cv2.VideoWriter(str(self.partial), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        if not self._writer.isOpened():
            raise InputError(f"{printable(path)}: OpenCV can't write it; give another --out, or --frames")

    def append(self, colours: np.ndarray) -> None:
        """Append a frame of colours in [0, 1], (H, W, 3)."""
        self._writer.write(cv2.cvtColor(quantise(colours, 8), cv2.COLOR_RGB2BGR))

    def finish(self, mark: str) -> None:
        """Close the file, append its mark in a box that players skip (ISO 14496-12: free), and name it."""
        self._writer.release()
        content = _MARK + mark.encode()
        with self.partial.open("ab") as file:
            file.write(struct.pack(">I4s", 8 + len(content), b"free") + content)
        self.partial.replace(self.path)

    def discard(self) -> None:
        """Remove what is not whole."""
        self._writer.release()
        self.partial.unlink(missing_ok=True)
