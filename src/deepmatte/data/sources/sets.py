"""The sets that a source of folders offers, and how their files become pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepmatte.data.cache.memory import ArrayCache
from deepmatte.data.sources.decoding import read_header
from deepmatte.data.sources.files import Files, FileSet
from deepmatte.data.sources.images import (
    AlphaFrom,
    flat_matte,
    read_alpha,
    read_cutout,
    read_image,
    read_trimap,
)
from deepmatte.data.sources.plates import check_plate
from deepmatte.data.sources.protocols import Layers, Picture
from deepmatte.errors import InputError
from deepmatte.ops.trimap import trimap_from_alpha
from deepmatte.ops.zones import UNKNOWN, full_scale


@dataclass(frozen=True)
class Reader:
    """How the files of an item are read; see `deepmatte.data.sources.folder.FolderData`."""

    alpha_from: AlphaFrom = "auto"
    estimate_foreground: bool = False
    trimap_kernel: int = 25
    plates: bool = field(default=False, repr=False)  # the last file of a finished picture is one

    def __post_init__(self) -> None:
        if self.alpha_from not in ("auto", "grey", "red", "alpha"):
            raise InputError(f"data.source.alpha_from={self.alpha_from}: is none of auto, grey, red, alpha")
        if not isinstance(self.trimap_kernel, int) or self.trimap_kernel < 1:
            raise InputError(
                f"data.source.trimap_kernel={self.trimap_kernel}: is a size in pixels, 1 or more"
            )

    def read(self, what: str, files: tuple[Path, ...]) -> Layers | Picture | np.ndarray:
        """Return the pixels of an item of a set of ``foregrounds``, ``backgrounds`` or ``images``."""
        if what == "foregrounds":
            return self.foreground(*files)
        return self.image(*files) if what == "images" else read_image(files[0])

    def foreground(self, colours: Path, alpha: Path | None = None, trimap: Path | None = None) -> Layers:
        """Return foreground and alpha of two files, or of one with an alpha channel.

        The trimap is not read here.
        """
        if alpha is None:
            pixels, matte = read_cutout(colours)
        else:
            pixels, matte = read_image(colours), read_alpha(alpha, self.alpha_from)
        return Layers(self._own_colours(pixels, matte), matte)

    def alpha(self, colours: Path, alpha: Path | None = None) -> np.ndarray:
        """Return alpha, uint8 or uint16 (H, W), as `foreground` and `image` do."""
        return read_cutout(colours)[1] if alpha is None else read_alpha(alpha, self.alpha_from)

    def image(self, image: Path, alpha: Path, *others: Path) -> Picture:
        """Return a finished picture; without a file of the trimap, it is made of the matte.

        Raises:
            InputError: a file can't be used, or the plate shows another background.
        """
        trimap, plate = self._trimap_and_plate(others)
        matte = read_alpha(alpha, self.alpha_from)
        if trimap is None:
            zones = trimap_from_alpha(matte, self.trimap_kernel, self.trimap_kernel)
            if not (zones == UNKNOWN).any():
                raise flat_matte(alpha)
        else:
            zones = read_trimap(trimap)
        colours = read_image(image)
        if plate is None:
            return Picture(colours, zones, matte)
        captured = read_image(plate)
        check_plate(colours, captured, image, plate, matte)
        return Picture(colours, zones, matte, captured_background=captured)

    def _trimap_and_plate(self, others: Sequence[Path]) -> tuple[Path | None, Path | None]:
        """Return the files of a finished picture beside image and matte."""
        trimaps, plates = (others[:-1], others[-1:]) if self.plates else (others, ())
        return (*trimaps, None)[0], (*plates, None)[0]

    def check(self, files: tuple[Path, ...], known: set[Path]) -> None:
        """Read matte and trimap of an item that is scored, which is done when training is over.

        ``known`` gathers what was read.

        Raises:
            InputError: one of them can't be used.
        """
        matte, *others = files[1:] or files
        trimap, _ = self._trimap_and_plate(others)
        if matte not in known:
            alpha = read_cutout(matte)[1] if len(files) == 1 else read_alpha(matte, self.alpha_from)
            if trimap is None and (alpha == alpha.flat[0]).all():
                raise flat_matte(matte)
        if trimap is not None and trimap not in known:
            read_trimap(trimap)
        known.update(files)

    def _own_colours(self, pixels: np.ndarray, matte: np.ndarray) -> np.ndarray:
        if not self.estimate_foreground:
            return pixels
        from deepmatte.ops.foreground import estimate_foreground  # compiled at its first use on a machine

        estimated = estimate_foreground(pixels / np.float32(255), matte / np.float32(full_scale(matte)))
        return np.round(estimated * 255).astype(np.uint8)

    def difference(self) -> str:
        """Return what changes pixels although the files stay the same; empty for the defaults."""
        return "" if self == Reader() else repr(self)


class FolderForegrounds(FileSet):
    """Foregrounds with their mattes, from two files each or from one RGBA file."""

    def __init__(
        self,
        files: Files,
        reader: Reader,
        sizes: Mapping[str, tuple[int, int]],
        cache: ArrayCache,
        identity: Callable[[str], str],
    ) -> None:
        super().__init__(files, reader.difference())
        self._reader, self._cache, self._identity = reader, cache, identity
        self._sizes = {name: sizes[name] for name in files}

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) as the header has them."""
        return self._sizes[self.names[index]]

    def foreground(self, index: int) -> str:
        """Return what a picture shows: the frames of a clip show one foreground."""
        return self._identity(self.names[index])

    def category(self, index: int) -> str:
        """Return an empty string: folders don't know kinds."""
        return ""

    def load(self, index: int) -> Layers:
        """Return foreground and alpha, read-only and perhaps from memory."""
        files = self.files[index]
        return Layers(**self._cache.get(files, lambda: self._reader.foreground(*files)._asdict()))

    def alpha(self, index: int) -> np.ndarray:
        """Return alpha alone, uint8 or uint16 (H, W)."""
        return self._reader.alpha(*self.files[index][:2])

    def trimap(self, index: int) -> np.ndarray | None:
        """Return the given trimap, uint8 0 / 128 / 255 (H, W), or None where there is none."""
        _, *others = self.files[index]
        return read_trimap(others[1]) if len(others) == 2 else None


class FolderBackgrounds(FileSet):
    """Opaque pictures of a folder."""

    def __init__(self, files: Files, cache: ArrayCache, least_side: int | None = None) -> None:
        super().__init__(files, f"least_side={least_side}" if least_side is not None else "")
        self._cache, self._least_side = cache, least_side

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) as `load` gives them."""
        header = read_header(self.files[index][0], self._least_side)
        return header.height, header.width

    def load(self, index: int) -> np.ndarray:
        """Return colours, uint8 (H, W, 3), read-only and perhaps from memory."""
        files = self.files[index]
        kept = self._cache.get(files, lambda: {"background": read_image(files[0], self._least_side)})
        return kept["background"]


class FolderImages(FileSet):
    """Finished images with matte, trimap and captured background, from two to four files each."""

    def __init__(self, files: Files, reader: Reader, identity: Callable[[str], str]) -> None:
        super().__init__(files, reader.difference())
        self._reader = reader
        self.offers = ("captured_background",) if reader.plates else ()
        self._foregrounds = [identity(name) for name in self.names]

    def foreground(self, index: int) -> str:
        """Return the foreground that an image shows: composites of one foreground are not independent."""
        return self._foregrounds[index]

    def alpha(self, index: int) -> np.ndarray:
        """Return alpha alone, uint8 or uint16 (H, W)."""
        return self._reader.alpha(*self.files[index][:2])

    def load(self, index: int) -> Picture:
        """Return image, trimap, alpha and, where there are any, the captured background."""
        return self._reader.image(*self.files[index])
