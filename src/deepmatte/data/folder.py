"""One's own data: folders of foregrounds, mattes and backgrounds, or of finished images with trimaps.

What names, headers and the ends of files can tell is checked when a source is made, long before training starts; what takes
decoding is checked when a file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from deepmatte.data.cache import ArrayCache
from deepmatte.data.files import Files, FileSet, check_files, check_names, find_pictures, split_of
from deepmatte.data.images import PathLike, named, read_alpha, read_cutout, read_image, read_trimap
from deepmatte.data.sources import Split
from deepmatte.errors import InputError


class FolderForegrounds(FileSet):
    """Foregrounds with their mattes, from two files each or from one RGBA file."""

    def __init__(self, files: Files, sizes: Mapping[str, tuple[int, int]], cache: ArrayCache) -> None:
        super().__init__(files)
        self._sizes, self._cache = sizes, cache

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) as the header has them."""
        return self._sizes[self.names[index]]

    def category(self, index: int) -> str:
        """Return an empty string: folders don't tell kinds apart."""
        return ""

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return colours, uint8 (H, W, 3), and alpha, uint8 or uint16 (H, W), read-only and perhaps from memory."""
        files = self.files[index]
        colours, alpha = self._cache.get(files, lambda: _read_layers(*files))
        return colours, alpha


class FolderBackgrounds(FileSet):
    """Opaque pictures of a folder."""

    def __init__(self, files: Files, cache: ArrayCache) -> None:
        super().__init__(files)
        self._cache = cache

    def load(self, index: int) -> np.ndarray:
        """Return colours, uint8 (H, W, 3), read-only and perhaps from memory."""
        files = self.files[index]
        return self._cache.get(files, lambda: (read_image(files[0]),))[0]


class FolderTriples(FileSet):
    """Image, trimap and matte from three files each."""

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return image, uint8 (H, W, 3), trimap, uint8 0 / 128 / 255 (H, W), and alpha, uint8 or uint16 (H, W)."""
        image, trimap, alpha = self.files[index]
        return read_image(image), read_trimap(trimap), read_alpha(alpha)


class FolderData:
    """Foregrounds, mattes and backgrounds in folders; a source of compositions.

    Args:
        root: the folder that the other places are relative to.
        foreground: folder or glob pattern of the foreground colours.
        alpha: folder or glob pattern of the mattes, which have the names of their foregrounds; None reads the alpha channel of
            the foregrounds themselves.
        background: folder or glob pattern of the backgrounds.
        val_fraction: share of the foregrounds, and of the backgrounds, whose hash puts them into validation.
        test_fraction: the same for the test split.
        name: the data set's name in results.
        version: changes the random choices of validation and test samples; count it up when the data change in substance.
        cache_mb: decoded pictures that each process keeps in memory, in MB.

    Raises:
        InputError: a folder is missing or empty, names don't match, sizes differ, or a file is damaged or of the wrong kind.
    """

    def __init__(
        self,
        root: PathLike | None,
        foreground: str = "fg",
        alpha: str | None = "alpha",
        background: str = "bg",
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        name: str = "folder",
        version: str = "1",
        cache_mb: int = 256,
    ) -> None:
        if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
            raise InputError(f"data.source.val_fraction={val_fraction}, test_fraction={test_fraction}: shares that leave some for training")
        self.name, self.version = name, str(version)
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        colours = find_pictures(root, foreground, "data.source.foreground")
        self._foregrounds: Files
        if alpha is None:
            self._foregrounds = {name: (file,) for name, file in colours.items()}
        else:
            mattes = find_pictures(root, alpha, "data.source.alpha")
            check_names(colours, mattes, "foreground", "alpha matte")
            self._foregrounds = {name: (file, mattes[name]) for name, file in colours.items()}
        self._backgrounds = {name: (file,) for name, file in find_pictures(root, background, "data.source.background").items()}
        self._sizes = {name: self._checked(files) for name, files in self._foregrounds.items()}
        for files in self._backgrounds.values():
            check_files(files)
        self._cache = ArrayCache(cache_mb * 2**20)
        # One matte is decoded now, since a folder of the wrong kind of pictures is wrong in all of them.
        FolderForegrounds(self._foregrounds, self._sizes, self._cache).load(0)

    @staticmethod
    def _checked(files: tuple[Path, ...]) -> tuple[int, int]:
        header = check_files(files)
        if len(files) == 1 and not header.has_alpha:
            raise InputError(f"{named(files[0])}: has no alpha channel; set data.source.alpha to the folder of the mattes")
        return header.height, header.width

    def foregrounds(self, split: Split) -> FolderForegrounds:
        """Return the foregrounds of a split, by the hash of their names.

        Raises:
            InputError: none of them falls into it.
        """
        return FolderForegrounds(self._part(self._foregrounds, split, "foregrounds"), self._sizes, self._cache)

    def backgrounds(self, split: Split) -> FolderBackgrounds:
        """Return the backgrounds of a split, by the hash of their names.

        Raises:
            InputError: none of them falls into it.
        """
        return FolderBackgrounds(self._part(self._backgrounds, split, "backgrounds"), self._cache)

    def _part(self, files: Files, split: Split, what: str) -> Files:
        part = {name: group for name, group in files.items() if split_of(name, self.val_fraction, self.test_fraction) == split}
        if not part:
            shares = f"data.source.val_fraction={self.val_fraction}, test_fraction={self.test_fraction}"
            raise InputError(f"{shares}: none of the {len(files)} {what} falls into the {split} split; change the shares or add files")
        return part


class FolderImages:
    """Finished images with trimap and true matte in three folders; a source for evaluation only.

    Args:
        root: the folder that the other places are relative to.
        image: folder or glob pattern of the images.
        trimap: folder or glob pattern of the trimaps, which have the names of their images.
        alpha: folder or glob pattern of the true mattes, which have the names of their images.
        name: the data set's name in results.
        version: its version there.

    Raises:
        InputError: a folder is missing or empty, names don't match, sizes differ, or a file is damaged or of the wrong kind.
    """

    def __init__(
        self,
        root: PathLike | None,
        image: str = "image",
        trimap: str = "trimap",
        alpha: str = "alpha",
        name: str = "images",
        version: str = "1",
    ) -> None:
        self.name, self.version = name, str(version)
        images, trimaps, mattes = (
            find_pictures(root, pattern, f"data.source.{key}") for key, pattern in (("image", image), ("trimap", trimap), ("alpha", alpha))
        )
        check_names(images, trimaps, "image", "trimap")
        check_names(images, mattes, "image", "alpha matte")
        self._files = {name: (file, trimaps[name], mattes[name]) for name, file in images.items()}
        for files in self._files.values():
            check_files(files)
        # One of each is decoded now, since a folder of the wrong kind of pictures is wrong in all of them.
        FolderTriples(self._files).load(0)

    def images(self, split: Split) -> FolderTriples:
        """Return all the images, which serve as validation or as test.

        Raises:
            InputError: they are asked for as training data.
        """
        if split == "train":
            raise InputError(
                f"data={self.name}: finished images can be scored but not trained on; train with data=folder or data=procedural"
            )
        return FolderTriples(self._files)


def _read_layers(colours: Path, alpha: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    return read_cutout(colours) if alpha is None else (read_image(colours), read_alpha(alpha))
