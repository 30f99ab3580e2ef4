"""The general source: any data set whose pictures are in folders, described by patterns in a YAML file.

Names, headers and the ends of files are checked when a split is first asked for, long before
training starts, and with it the mattes and trimaps of validation and test, which are few. The rest is decoded
when it is first read (with a cache of decoded pictures, before training, too), and by ``deepmatte data
verify``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from deepmatte.data.cache.memory import ArrayCache
from deepmatte.data.sources.files import Files, check_files
from deepmatte.data.sources.folder_options import FolderOptions
from deepmatte.data.sources.layout import Layout, Place
from deepmatte.data.sources.protocols import NoSplitError, OwnBackground, Split
from deepmatte.data.sources.sets import FolderBackgrounds, FolderForegrounds, FolderImages, Reader
from deepmatte.data.sources.splits import identity_rule, shown_elsewhere, split_of
from deepmatte.errors import InputError
from deepmatte.files import printable

_KEYS = {
    "foregrounds": {"foreground", "alpha", "names", "image"},
    "backgrounds": {"background", "background_names"},
}
"""The keys by which a split says that its foregrounds, or its backgrounds, have a place of their own."""

MOST_NAMED = 3
"""Pictures that a message names of those that are in two splits."""

_log = logging.getLogger(__name__)


class FolderData(FolderOptions):
    """Foregrounds, mattes and backgrounds to composite, or finished images with trimaps, in folders.

    Patterns are folders or glob patterns below ``root``; files belong together when the wildcards stand for
    the same texts, which are their name. Splits that have no patterns of their own share those of the
    training split, divided by the hash of the foreground that a name shows: no foreground is in two splits,
    and added files never move the others.

    The arguments are the keys of `deepmatte.data.sources.folder_options.FolderOptions`.

    Raises:
        InputError: a value does not fit. When a split is asked for: a folder is missing or empty, names don't
            match, sizes differ, a file is damaged or of the wrong kind, or a foreground is in two splits.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.root is not None
        self._own = self.own_keys()
        self._shared, self._places = self.places()
        self._layout = Layout(self.root, identity_rule(self.identity), self.links, self._refuse)
        estimate = self.estimate_foreground and not self.is_uncomposited
        self._reader = Reader(self.alpha_from, estimate, self.trimap_kernel)
        self._cache = ArrayCache(self.cache_mb * 2**20)
        self._found: dict[tuple[str, str], Files] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._excluded: dict[tuple[str, str], list[str]] = {}
        self.problems: list[str] = []

    def prepare(self, splits: Sequence[Split]) -> None:
        """Check the files of ``splits`` without decoding them."""
        for split in splits:
            if self.images(split) is None:
                self.foregrounds(split)
                self.backgrounds(split)

    def foregrounds(self, split: Split) -> FolderForegrounds:
        """Return the foregrounds of a split.

        Raises:
            InputError: there are none, or the split consists of finished images.
        """
        if self._place(split).image is not None:
            raise NoSplitError(
                f"data={self.name}: has finished images to score, "
                "but no foregrounds to train on; choose another data="
            )
        files = self._files("foregrounds", split, self._layout.foregrounds)
        return FolderForegrounds(files, self._reader, self._sizes, self._cache, self._layout.identity)

    def backgrounds(self, split: Split) -> FolderBackgrounds | OwnBackground:
        """Return the backgrounds of a split.

        Raises:
            InputError: there are none.
        """
        if self.is_uncomposited:
            return OwnBackground()
        return FolderBackgrounds(
            self._files("backgrounds", split, self._layout.backgrounds), self._cache, self.background_side
        )

    def images(self, split: Split) -> FolderImages | None:
        """Return the finished images of a split, or None if it is composited."""
        place = self._place(split)
        if place.image is None or split == "train":
            return None
        split = self._shown_in(split)
        key = ("images", split)
        if key not in self._found:
            self._found[key] = self._checked(self._layout.images(place), "images", split)
        return FolderImages(self._found[key], self._reader_of(split), self._layout.identity)

    def _reader_of(self, split: Split) -> Reader:
        """Return the reader that knows which files the items of a split have."""
        return replace(self._reader, plates=self._place(split).captured_background is not None)

    def _shown_in(self, split: Split) -> Split:
        """Return the split whose pictures ``split`` has."""
        return "val" if split == "test" and self.scores_validation else split

    def _place(self, split: Split) -> Place:
        return self._places.get(self._shown_in(split), self._shared)

    def _files(self, what: str, split: Split, find: Callable[[Place], Files]) -> Files:
        """Return the files of a split that pass the checks; the first time, they are looked for."""
        split = self._shown_in(split)
        key = (what, split)
        if key not in self._found:
            files = find(self._place(split)) if self._has_own(what, split) else self._share(what, split, find)
            self._found[key] = self._checked(files, what, split)
        return self._found[key]

    def _says(self, what: str, split: str) -> bool:
        return bool(_KEYS[what] & self._own.get(split, {}).keys())

    def _has_own(self, what: str, split: str) -> bool:
        return split != "train" and self._says(what, split)

    def _share(self, what: str, split: Split, find: Callable[[Place], Files]) -> Files:
        """Return the part of the training place that the hash of the foregrounds gives to ``split``."""
        pool = dict(find(self._shared))
        for other in ("val", "test"):
            if self._has_own(what, other):
                self._take_out(pool, find, what, other)
        fractions: dict[Split, float] = {"val": self.val_fraction, "test": self.test_fraction}
        shares = {other: fraction for other, fraction in fractions.items() if self._shares(what, other)}
        val, test = shares.get("val", 0.0), shares.get("test", 0.0)
        shown = self._shown(what)
        part = {name: files for name, files in pool.items() if split_of(shown(name), val, test) == split}
        if not part:
            text = f"data.source.val_fraction={val}, test_fraction={test}"
            kind = NoSplitError if split != "train" and not shares.get(split) else InputError
            cure = "change the shares or add files"
            if split == "test":
                cure += ", or score the pictures of validation (data.source.test=val)"
            raise kind(f"{text}: none of the {len(pool)} {what} falls into the {split} split; {cure}")
        return part

    def _shares(self, what: str, split: Split) -> bool:
        if self._shown_in(split) != split or self._has_own(what, split):
            return False
        return self._place(split).image is None

    def _shown(self, what: str) -> Callable[[str], str]:
        """Return the function from a name to what the picture shows; a background shows itself."""
        return self._layout.identity if what == "foregrounds" else str

    def _take_out(
        self, pool: dict[str, tuple[Path, ...]], find: Callable[[Place], Files], what: str, split: str
    ) -> None:
        """Remove what another split shows from the pool.

        Where the training split has a place of its own, refuse it instead.
        """
        own, shared = self._places[split], self._shared
        if own.image is None:
            keys = ("foreground", "alpha") if what == "foregrounds" else ("background",)
            others, one_place = find(own), all(getattr(own, key) == getattr(shared, key) for key in keys)
        elif what == "foregrounds":
            others = self._finished(own)
            one_place = own.alpha == (shared.alpha or shared.foreground) or own.image == shared.foreground
        else:
            return  # what finished images were laid over is not known
        taken = shown_elsewhere(pool, others, self._shown(what), one_place)
        for name, (why, other) in taken.items():
            if self._says(what, "train"):
                text = f"shows what the {split} split shows, too ({printable(other)}, {why})"
                raise InputError(f"{printable(pool[name][0])}: {text}; remove it from one of the two")
        self._excluded[what, split] = [
            _reason(pool.pop(name)[0], why, other) for name, (why, other) in taken.items()
        ]
        if not pool:
            cure = "give the two splits pictures of their own (data.source.train, data.source.test)"
            raise InputError(
                f"data.source.{split}: shows all {len(taken)} {what}, "
                f"so that none is left to train on; {cure}"
            )

    def _finished(self, place: Place) -> Files:
        """Return finished images with their mattes.

        None where they can't be found, which is said when their split is asked for.
        """
        with contextlib.suppress(InputError):
            return self._layout.images(replace(place, trimap=None))
        return {}

    @property
    def notes(self) -> list[str]:
        """What a user should know of the splits, a line each.

        What is not trained on because validation or test show it, and what scores mean without a test split.
        """
        lines = []
        for (what, split), taken in self._excluded.items():
            if taken:
                some = ", ".join(taken[:MOST_NAMED]) + (
                    f" and {len(taken) - MOST_NAMED} more" if len(taken) > MOST_NAMED else ""
                )
                verb = "is" if len(taken) == 1 else "are"
                lines.append(
                    f"data={self.name}: {len(taken)} of the {what} {verb} not trained on, "
                    f"since the {split} split shows the same: {some}"
                )
        if self.scores_validation:
            text = "its pictures of validation are scored, by which epochs are chosen, too"
            lines.append(f"data={self.name}: has no test split; {text}")
        return lines

    def _checked(self, files: Files, what: str, split: Split) -> Files:
        """Return the items whose files agree with one another.

        Of what is scored, mattes and trimaps are read.
        """
        good: dict[str, tuple[Path, ...]] = {}
        known: set[Path] = set()
        reader = self._reader_of(split)
        for name, group in files.items():
            try:
                header = check_files(group)
                if what == "foregrounds" and len(group) == 1 and not header.has_alpha:
                    raise InputError(
                        f"{printable(group[0])}: has no alpha channel; "
                        "set data.source.alpha to the folder of the mattes"
                    )
                if not good or (reader.plates and self.on_error == "skip"):
                    # One is decoded now, since a folder of the wrong kind of pictures is wrong in all of
                    # them; to leave out pictures whose plates show another background, all are.
                    reader.read(what, group)
                if split != "train" and what != "backgrounds":
                    reader.check(group, known)
            except InputError as error:
                self._refuse(error)
                continue
            good[name] = group
            if what == "foregrounds":
                self._sizes[name] = header.height, header.width
        if not good:
            raise InputError(
                f"data={self.name}: none of the {len(files)} {what} can be used; "
                "`deepmatte data verify` lists why"
            )
        return good

    def _refuse(self, error: InputError) -> None:
        if self.on_error == "stop":
            raise error
        if str(error) not in self.problems:
            self.problems.append(str(error))
            _log.warning("skipped (%d): %s", len(self.problems), error)


def _reason(file: Path, why: str, other: Path) -> str:
    return (
        f"{printable(file)} ({why})" if file == other else f"{printable(file)} ({why} as {printable(other)})"
    )
