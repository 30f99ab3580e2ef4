"""The picture that answers a request, made in memory alone."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Mapping

import numpy as np

from deepmatte.classical.band import parse_width
from deepmatte.classical.method import MattingWarning
from deepmatte.classical.segmentation import Box
from deepmatte.data.sources.decoding import Encoded, TooManyPixelsError, decoded, max_pixels
from deepmatte.data.sources.images import png_of, quantise, to_8_bit
from deepmatte.errors import InputError, one_line
from deepmatte.scoring.photographs.forms import zones
from deepmatte.scoring.photographs.notebook import Method, cutout, matte, trimap
from deepmatte.scoring.service.limits import RefusedError
from deepmatte.scoring.service.messages import Answer, Order


def answer(order: Order, methods: Mapping[str, Method]) -> Answer:
    """Return what a request is answered; whatever is wrong with it becomes a line.

    Args:
        order: the request. Pictures of more pixels than `max_pixels` are refused before they are decoded.
        methods: by the names that a request may give.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MattingWarning)
            content = png_of(pixels_of(order, methods))
    except RefusedError as error:
        return Answer(error.status, one_line(error))
    except InputError as error:
        return Answer(422, one_line(error))
    except MemoryError:
        return Answer(503, "not enough memory for this picture; send a smaller one")
    except Exception as error:  # a defect must not end the process
        traceback.print_exc()
        kind = type(error).__name__
        return Answer(500, f"a defect of deepmatte ({kind}), which the server's own output tells; report it")
    told = (one_line(one.message) for one in caught if issubclass(one.category, MattingWarning))
    return Answer(200, content, tuple(dict.fromkeys(told)))


def pixels_of(order: Order, methods: Mapping[str, Method]) -> np.ndarray:
    """Return the pixels that a request asks for, uint8: (H, W), or (H, W, 4) of a cut-out.

    Raises:
        InputError: pictures and values don't fit; a `RefusedError` where there are too many pixels.
    """
    image = _picture("image", order.image)
    guide = _trimap(image, order)
    if order.output == "trimap":
        return guide
    alpha = matte(image, guide, method=methods[order.method])
    return to_8_bit(cutout(image, alpha)) if order.output == "cutout" else quantise(alpha, 8)


def _trimap(image: np.ndarray, order: Order) -> np.ndarray:
    """Return the trimap that a request gives, or that is made of its hint."""
    width = parse_width(order.width)
    if isinstance(order.given, str):
        return trimap(image, box=Box.parse(order.given), width=width)
    drawn = _picture(order.hint, order.given)
    if order.hint == "trimap":
        return zones(drawn)[0]
    if order.hint == "mask":
        return trimap(image, drawn, width=width)
    return trimap(image, scribbles=drawn, width=width)


def _picture(name: str, content: bytes) -> np.ndarray:
    """Return the pixels of a picture file; messages call it by the name of its field."""
    try:
        return decoded(Encoded(name, content))
    except TooManyPixelsError:
        most = f"{max_pixels() / 1e6:.4g} million that this server takes"
        raise RefusedError(413, f"{name}: has more pixels than the {most}; send a smaller one") from None
