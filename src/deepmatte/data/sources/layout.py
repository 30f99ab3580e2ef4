"""How a data set is laid out on disk: the patterns of its splits, and the files of each item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePath
from typing import Any

from deepmatte.data.sources.files import Files, Links, OnError, check_names, find_pictures, refuse
from deepmatte.data.sources.splits import listed, read_lines
from deepmatte.errors import InputError
from deepmatte.files import PathLike, printable


@dataclass(frozen=True)
class Place:
    """Where the pictures of a split are: folders or glob patterns below the root, and lists of names.

    Either ``foreground``, ``alpha`` and ``background``, of which composites are made (a ``trimap`` of theirs
    is for recipes that take given ones), or finished pictures: ``image``, ``alpha`` and ``trimap``, and
    ``captured_background`` where the scene was photographed without the subject, too. A picture without a
    trimap of its own is an error, or with ``missing_trimap: made`` gets one that is made of its matte.
    """

    foreground: str | None = None
    alpha: str | None = None
    background: str | None = None
    image: str | None = None
    trimap: str | None = None
    names: str | None = None
    background_names: str | None = None
    captured_background: str | None = None
    missing_trimap: str | None = None

    def overlaid(self, keys: Mapping[str, Any], split: str) -> Place:
        """Return the place of a split that has keys of its own.

        Raises:
            InputError: a key is not one of a place, or its value is no text.
        """
        known = [field.name for field in fields(self)]
        for key in keys:
            if key not in known:
                raise InputError(
                    f"data.source.{split}.{key}: there is no such key; a split has {', '.join(known)}"
                )
            if keys[key] is not None and not isinstance(keys[key], str | PurePath):
                raise InputError(
                    f"data.source.{split}.{key}={keys[key]}: has to be a text, a folder or pattern of files"
                )
        if keys.get("missing_trimap") not in (None, "made"):
            text = "give made, or leave the key out to refuse pictures without a trimap"
            raise InputError(f"data.source.{split}.missing_trimap={keys['missing_trimap']}: {text}")
        return replace(self, **keys)


class Layout:
    """Finds the files of a place and matches them by their names.

    Args:
        root: the folder that patterns and lists are relative to.
        identity: the function from a name to the foreground that it shows
            (`deepmatte.data.sources.splits.identity_rule`).
        links: see `deepmatte.data.sources.files.find_pictures`.
        on_error: what is done with a file that has no partner or can't be used.
    """

    def __init__(
        self,
        root: PathLike,
        identity: Callable[[str], str],
        links: Links = "inside",
        on_error: OnError = refuse,
    ) -> None:
        self.root, self.identity, self.links, self.on_error = (
            Path(root).expanduser(),
            identity,
            links,
            on_error,
        )

    def foregrounds(self, place: Place) -> Files:
        """Return the foregrounds: files of colours, matte and, where the place has them, trimap.

        Or one file with an alpha channel.
        """
        colours = self._chosen(self._find(place.foreground, "foreground"), place.names, "names")
        if place.alpha is None:
            return {name: (file,) for name, file in colours.items()}
        mattes = self._find(place.alpha, "alpha")
        if place.names is not None:
            mattes = {name: file for name, file in mattes.items() if name in colours}
        check_names(colours, mattes, "foreground", "alpha matte", self.on_error)
        groups = {name: [file, mattes[name]] for name, file in colours.items() if name in mattes}
        if place.trimap is not None:
            self._join(groups, colours, self._find(place.trimap, "trimap"), "trimap", some=True)
        return {name: tuple(files) for name, files in groups.items()}

    def backgrounds(self, place: Place) -> Files:
        """Return the backgrounds, a file each."""
        if place.background is None:
            raise InputError(
                "data.background: needs the folder of backgrounds to composite over (data.background=DIR)"
            )
        found = self._chosen(
            self._find(place.background, "background"), place.background_names, "background_names"
        )
        return {name: (file,) for name, file in found.items()}

    def images(self, place: Place) -> Files:
        """Return finished pictures: files of image, matte and, where the place has them, trimap and plate.

        Several pictures may share the matte, the trimap or the plate of their foreground.
        """
        if place.alpha is None:
            raise InputError(
                "data.source.alpha: finished pictures are scored against their mattes; "
                "set it to where these are"
            )
        images = self._chosen(self._find(place.image, "image"), place.names, "names")
        groups = {name: [file] for name, file in images.items()}
        for pattern, key, what in (
            (place.alpha, "alpha", "alpha matte"),
            (place.trimap, "trimap", "trimap"),
            (place.captured_background, "captured_background", "captured background"),
        ):
            if pattern is not None:
                partners = self._find(pattern, key)
                optional = what == "trimap" and place.missing_trimap == "made"
                self._join(groups, images, partners, what, some=place.names is not None, optional=optional)
        return {name: tuple(files) for name, files in groups.items()}

    def _join(
        self,
        groups: dict[str, list[Path]],
        images: Mapping[str, Path],
        partners: Mapping[str, Path],
        what: str,
        some: bool,
        optional: bool = False,
    ) -> None:
        """Add to each group its partner of the same name, else that of the foreground that the name shows.

        With ``some``, partners may be left over; with ``optional``, pictures may have none.
        """
        found = {name: name if name in partners else self.identity(name) for name in images}
        used = set(found.values())
        for name, file in images.items():
            if found[name] not in partners:
                if optional:
                    continue
                cure = "add it or remove this file"
                if what == "trimap":
                    cure += ", or let it be made of the matte (missing_trimap: made)"
                self.on_error(InputError(f"{printable(file)}: there is no {what} of the same name; {cure}"))
                groups.pop(name, None)
            elif name in groups:
                groups[name].append(partners[found[name]])
        if not some:
            for name, file in partners.items():
                if name not in used:
                    self.on_error(
                        InputError(
                            f"{printable(file)}: there is no image of the same name; "
                            "add it or remove this file"
                        )
                    )

    def _find(self, pattern: str | None, key: str) -> dict[str, Path]:
        if pattern is None:
            raise InputError(f"data.source.{key}: needs a folder or glob pattern of pictures")
        return find_pictures(self.root, pattern, f"data.source.{key}", self.links, self.on_error)

    def _chosen(self, found: dict[str, Path], names: str | None, key: str) -> dict[str, Path]:
        if names is None:
            return found
        path = self.root / names
        return listed(found, read_lines(path, f"data.source.{key}"), path)
