"""The options of a source of folders, as ``conf/data/folder.yaml`` lists them, and their checks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal

from deepmatte.data.sources.files import Links
from deepmatte.data.sources.images import AlphaFrom
from deepmatte.data.sources.layout import Place
from deepmatte.errors import InputError
from deepmatte.files import printable

OWN = "own"
"""The word for ``background`` by which photographs keep their own."""

_CHOICES = {"on_error": ("stop", "skip"), "source.links": ("inside", "follow")}


@dataclass(eq=False)
class FolderOptions:
    """The keys of `deepmatte.data.FolderData`.

    Attributes:
        root: the folder that everything else is relative to.
        foreground: pattern of the foreground colours.
        alpha: pattern of the mattes; None takes the alpha channel of the foregrounds themselves.
        background: pattern of the backgrounds; ``own`` where foregrounds are photographs that stay as they
            are, uncomposited. Their layers are then unknown: samples have ``image``, ``alpha`` and
            ``trimap``, and losses that want more refuse them.
        image: pattern of finished images, instead of foreground and background; they can be scored on, not
            trained on.
        trimap: pattern of their trimaps; None makes them of the mattes. Of foregrounds: trimaps for
            ``composition.trimap=given``.
        captured_background: pattern of photographs of the scenes without their subjects, one for each
            finished image or for each foreground that several show.
        train: patterns (`Place`) of the training split alone, laid over those above.
        val: the same for the validation split.
        test: the same for the test split; ``val`` where there is none: the pictures of validation are scored.
        val_fraction: share of the training patterns that is set apart for validation, where that has none of
            its own.
        test_fraction: the same for the test split.
        identity: regular expression from a picture's name to the foreground that it shows (first group), for
            sets that show one foreground in several pictures; None where each picture is a foreground of its
            own.
        alpha_from: which channel is the matte (`deepmatte.data.sources.images.read_alpha`).
        estimate_foreground: foregrounds are photographs with a background of their own; their own colours are
            estimated.
        background_side: JPEG backgrounds are decoded at a half, a quarter or an eighth of their size, the
            smallest at which both sides have as many pixels; None decodes them as they are. At the largest of
            ``composition.crop_sizes`` every crop still fits.
        trimap_kernel: size in pixels of the ellipse that makes trimaps, where they are not given.
        links: ``inside`` refuses symbolic links that lead out of ``root``, ``follow`` follows them.
        on_error: ``stop`` at the first file that can't be used, or ``skip`` and count them.
        name: the data set's name in results.
        version: changes the random choices of validation and test samples; count it up when the data change
            in substance.
        cache_mb: decoded pictures that each process keeps in memory, in MB.

    Raises:
        InputError: a value does not fit.
    """

    root: str | os.PathLike[str] | None
    foreground: str | None = "fg"
    alpha: str | None = "alpha"
    background: str | None = "bg"
    image: str | None = None
    trimap: str | None = None
    captured_background: str | None = None
    _: KW_ONLY
    train: Mapping[str, Any] | None = None
    val: Mapping[str, Any] | None = None
    test: Mapping[str, Any] | Literal["val"] | None = None
    val_fraction: float = 0.1
    test_fraction: float = 0.1
    identity: str | None = None
    alpha_from: AlphaFrom = "auto"
    estimate_foreground: bool = False
    background_side: int | None = None
    trimap_kernel: int = 25
    links: Links = "inside"
    on_error: Literal["stop", "skip"] = "stop"
    name: str = "folder"
    version: str = "1"
    cache_mb: int = 256

    def __post_init__(self) -> None:
        self.version = str(self.version)
        if isinstance(self.test, str) and not self.scores_validation:
            text = (
                "give the places of the test split (image, alpha ...), or val to score validation's pictures"
            )
            raise InputError(f"data.source.test={self.test}: {text}")
        if min(self.val_fraction, self.test_fraction) < 0 or self.val_fraction + self.test_fraction >= 1:
            shares = f"data.source.val_fraction={self.val_fraction}, test_fraction={self.test_fraction}"
            raise InputError(f"{shares}: give shares that leave some for training")
        for key, choices in _CHOICES.items():
            value = getattr(self, key.removeprefix("source."))
            if value not in choices:
                raise InputError(f"data.{key}={value}: is none of {', '.join(choices)}")
        if self.background_side is not None and self.background_side < 1:
            text = "is a length in pixels, 1 or more; null decodes all of them"
            raise InputError(f"data.source.background_side={self.background_side}: {text}")
        if self.root is None:
            raise InputError("data.root: needs the folder that holds the data (data.root=DIR)")
        if not Path(self.root).expanduser().is_dir():
            text = "there is no such folder; set data.root to the one that holds the data"
            raise InputError(f"{printable(self.root)}: {text}")
        if self.is_uncomposited and self.alpha is None:
            text = "photographs have mattes of their own; set data.source.alpha to where they are"
            raise InputError(f"data.background=own: {text}")

    @property
    def scores_validation(self) -> bool:
        """Whether there is no test split, and the pictures of validation are scored in its place."""
        return self.test == "val"

    @property
    def is_uncomposited(self) -> bool:
        """Whether photographs keep their own backgrounds."""
        return self.background == OWN and self.image is None

    def own_keys(self) -> dict[str, Mapping[str, Any]]:
        """Return the keys that splits have of their own, by split."""
        splits = (("train", self.train), ("val", self.val), ("test", self.test))
        return {split: keys for split, keys in splits if isinstance(keys, Mapping)}

    def places(self) -> tuple[Place, dict[str, Place]]:
        """Return the place of training, shared by splits without keys of their own, and those of the others.

        Raises:
            InputError: a split has an unknown key, or a value that is no text.
        """
        base = Place(
            self.foreground,
            self.alpha,
            self.background,
            self.image,
            self.trimap,
            captured_background=self.captured_background,
        )
        own = self.own_keys()
        return base.overlaid(own.get("train", {}), "train"), {
            split: base.overlaid(keys, split) for split, keys in own.items()
        }
