"""What a notebook asks for: mattes and cut-outs of pictures in memory, and the network of a run.

Only networks need torch; classical methods work without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from PIL import Image

from deepmatte.classical import METHODS, ClassicalMethod
from deepmatte.classical.band import Width, trimap_of_mask
from deepmatte.classical.segmentation import Box, segment, strokes_of_box
from deepmatte.errors import InputError, did_you_mean
from deepmatte.files import printable
from deepmatte.ops.foreground import estimate_foreground
from deepmatte.ops.zones import impose_trimap
from deepmatte.scoring.photographs import forms
from deepmatte.scoring.photographs.forms import Picture
from deepmatte.scoring.photographs.hints import mask_of_alpha

if TYPE_CHECKING:
    from torch import Tensor

    from deepmatte.models import MattingModel
    from deepmatte.scoring.photographs.predictors import Predictor

Form = TypeVar("Form", np.ndarray, Image.Image, "Tensor")
DEFAULT = "fast_information_flow"
"""Information flow at half the size, of all methods the best for its time (`benchmarks/guides.py`)."""


@dataclass(frozen=True, repr=False)
class Network:
    """The trained network of a run, ready to matte: ``network(image, trimap)`` is `matte` with it.

    ``model`` is the network itself, a `torch.nn.Module`; ``guide`` the key of what it reads beside the image,
    ``trimap`` or ``captured_background``.
    """

    run: Path
    model: MattingModel
    guide: str
    predictor: Predictor

    def __call__(self, image: Form, guide: Picture) -> Form:
        """Return the matte of an image; ``guide`` is its trimap, or its plate where the network reads one."""
        return matte(image, guide, method=self)

    def __repr__(self) -> str:
        return (
            f"<network of {printable(self.run)}: {type(self.model).__name__}, reads image and {self.guide}>"
        )


Method = str | ClassicalMethod | Network
"""A name of `deepmatte.classical.METHODS` or of weights that come with the package, a method with options of
its own, or a loaded network."""


def load(run: str | os.PathLike[str], *, checkpoint: str = "best", tile: int | None = None) -> Network:
    """Return the network of a run directory, on the first GPU if there is one.

    Args:
        run: the directory that `deepmatte train` has written, or a name of weights that come with the package
            (`deepmatte.models.shipped`).
        checkpoint: best, last, or the path of a checkpoint.
        tile: 0 for whole images, or the side of tiles in pixels, a multiple of 128, for large ones; None: 0
            for a run, 768 for weights of the package.

    Raises:
        InputError: it is no run directory, or its checkpoint is missing or damaged.
    """
    from deepmatte.scoring.photographs.predictors import network_of_run

    return Network(Path(run), *network_of_run(Path(run), checkpoint, tile))


@overload
def matte(image: str | os.PathLike[str], trimap: Picture, *, method: Method = ...) -> np.ndarray: ...
@overload
def matte(image: Form, trimap: Picture, *, method: Method = ...) -> Form: ...
def matte(image: Any, trimap: Picture, *, method: Method = DEFAULT) -> Any:
    """Return the alpha matte of an image: how much of each pixel is foreground, in [0, 1].

    Args:
        image: an array (H, W, 3) or (H, W), a PIL image, a tensor (3, H, W), a batch (N, 3, H, W), or a file.
            Whole numbers are at full scale, floats in [0, 1].
        trimap: in any of these forms: 0 where background is known, 255 (or 1.0) where foreground is, 128
            (0.5) where alpha is to be found. `trimap` makes one of a mask.
        method: a classical method by name, such as ``"knn"``, or with options, ``KNN(neighbours=(30, 10))``;
            or a network: ``"starter"``, which comes with the package, or ``load(RUN)``, some of which read a
            plate of the background in place of a trimap.

    Returns:
        alpha in the image's form: float32 (H, W), an 8-bit PIL image, or a tensor (1, H, W) or (N, 1, H, W).
        The known zones of the trimap are imposed.

    Raises:
        InputError: sizes, types or values don't fit, or there is no such method.

    >>> image = np.array([[[0.1] * 3, [0.1] * 3, [0.5] * 3, [0.9] * 3, [0.9] * 3]] * 5)
    >>> trimap = np.array([[0, 0, 128, 255, 255]] * 5, np.uint8)
    >>> matte(image, trimap)[2].round(2).tolist()  # half way between black and white
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    solve, guide = _solver(method)
    images = forms.colours(image, forms.shown(image, "image"))
    read = forms.zones if guide == "trimap" else forms.colours
    guides = read(trimap, forms.shown(trimap, guide))
    forms.same_size([("image", images), (guide, guides)])
    alphas = [solve(*pair) for pair in zip(images, guides, strict=True)]
    return forms.given_back(alphas, image, "float32")


@overload
def trimap(
    image: str | os.PathLike[str],
    mask: Picture | None = ...,
    *,
    box: Sequence[int] | None = ...,
    scribbles: Picture | None = ...,
    width: Width = ...,
) -> np.ndarray: ...
@overload
def trimap(
    image: Form,
    mask: Picture | None = ...,
    *,
    box: Sequence[int] | None = ...,
    scribbles: Picture | None = ...,
    width: Width = ...,
) -> Form: ...
def trimap(
    image: Any,
    mask: Picture | None = None,
    *,
    box: Sequence[int] | None = None,
    scribbles: Picture | None = None,
    width: Width = "auto",
) -> Any:
    """Return a trimap of an image: 0 is background, 255 foreground, 128 the band between, for `matte`.

    Args:
        image: as for `matte`.
        mask: of the foreground, true (or light) there; or one of
        box: around the foreground: left, top, width and height in pixels, and
        scribbles: a picture with white strokes on the foreground and black ones beside it, on grey. Of both
            GrabCut makes the mask.
        width: how far the unknown band reaches to either side of the mask's edge, in pixels; ``auto`` is
            narrow along sharp edges, and wide where they are blurred or hair-like.

    Returns:
        the trimap in the image's form, of 8 bits: (H, W), a PIL image, or (1, H, W) or (N, 1, H, W).

    Raises:
        InputError: not one of the three is given, it doesn't fit the image, or no foreground is found.

    >>> mask = np.arange(8) >= 4
    >>> trimap(np.zeros((1, 8)), mask[None], width=1).tolist()
    [[0, 0, 0, 128, 128, 255, 255, 255]]
    """
    if sum(hint is not None for hint in (mask, box, scribbles)) != 1:
        raise InputError("trimap: give one of mask, box and scribbles")
    images = forms.colours(image, forms.shown(image, "image"))
    if box is not None:
        if len(box) != 4 or not all(isinstance(side, Integral) for side in box):
            raise InputError(f"box={tuple(box)}: give left, top, width and height in whole pixels")
        around = Box(*map(int, box))
        masks = [segment(unit(one), strokes_of_box(around, *one.shape[:2])) for one in images]
    elif mask is not None:
        found = forms.mattes(mask, "mask")
        forms.same_size([("image", images), ("mask", found)])
        masks = [mask_of_alpha(plane, "mask") for plane in found]
    else:
        drawn = forms.strokes(scribbles)  # type: ignore[arg-type]  # one is there
        forms.same_size([("image", images), ("scribbles", drawn)])
        masks = [segment(unit(one), two) for one, two in zip(images, drawn, strict=True)]
    made = [trimap_of_mask(unit(one), two, width) / 255 for one, two in zip(images, masks, strict=True)]
    return forms.given_back(made, image, "uint8")


@overload
def cutout(image: str | os.PathLike[str], alpha: Picture) -> np.ndarray: ...
@overload
def cutout(image: Form, alpha: Picture) -> Form: ...
def cutout(image: Any, alpha: Picture) -> Any:
    """Return the foreground of an image, free of the old background's colours, with its matte as alpha.

    The foreground's colours are estimated (`deepmatte.ops.foreground`); they are not multiplied by alpha.

    Args:
        image: as for `matte`.
        alpha: anybody's matte, in any of these forms.

    Returns:
        colours and alpha in the image's form and type: (H, W, 4), RGBA, or (4, H, W) or (N, 4, H, W).

    Raises:
        InputError: sizes, types or values don't fit.

    >>> grey = np.full((2, 3, 3), 120, np.uint8)
    >>> cutout(grey, np.ones((2, 3)))[0, 0].tolist()
    [120, 120, 120, 255]
    """
    images, alphas = forms.colours(image, forms.shown(image, "image")), forms.mattes(alpha, "alpha")
    forms.same_size([("image", images), ("alpha", alphas)])
    made = [
        np.dstack([estimate_foreground(unit(colours), plane), plane])
        for colours, plane in zip(images, alphas, strict=True)
    ]
    return forms.given_back(made, image)


def unit(image: np.ndarray) -> np.ndarray:
    """Return 8-bit colours as floats in [0, 1], others as they are."""
    return image / 255 if image.dtype == np.uint8 else image


def _solver(method: Method) -> tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], str]:
    """Return what maps an image and its guide to alpha, and the key of the guide."""
    if isinstance(method, str) and method not in METHODS:
        method = _network(_weights(method))
    if isinstance(method, Network):
        return lambda image, guide: method.predictor(image, guide).alpha, method.guide
    if isinstance(method, str):
        solve = METHODS[method]
    elif isinstance(method, ClassicalMethod):
        solve = method
    else:
        known = "a name such as 'closed_form', a method of deepmatte.classical, or load(RUN)"
        raise InputError(f"method is a {type(method).__name__}: give {known}")
    return lambda image, trimap: impose_trimap(solve(unit(image), trimap), trimap), "trimap"


def _weights(name: str) -> Path:
    """Return the file of weights that come with the package."""
    from deepmatte.models.shipped import shipped

    known = [*METHODS, *shipped()]
    if name not in known:
        meant = did_you_mean(name, known) or f"; choose one of {', '.join(known)}"
        raise InputError(f"method={name}: there is no such method{meant}, or load(RUN) of a network")
    return shipped()[name]


@cache
def _network(weights: Path) -> Network:
    return load(weights)
