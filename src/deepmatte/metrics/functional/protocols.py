"""Evaluation protocols as data: a field for each difference between published evaluation codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

METRICS_VERSION = "1"
"""Recorded in every results file; raised when a protocol gives other numbers for the same files."""

EXACT_THRESHOLDS = tuple(i / 10 for i in range(1, 11))
ARANGE_THRESHOLDS = tuple(float(t) for t in np.arange(0, 1.1, 0.1)[1:])
"""The same by ``numpy.arange``: the sixth is 0.6000000000000001, above 153/255."""


@dataclass(frozen=True)
class Protocol:
    """How a prediction is compared with the truth.

    Units are the same under every protocol: sad, grad and conn are sums / 1000, mse and mad are means x 1000,
    miou is in [0, 1].

    Attributes:
        name: the key in ``PROTOCOLS``, recorded in every results file.
        description: one line for tables and help.
        rounding: how a float prediction becomes 8-bit: ``nearest`` (halves to even), ``truncate``, or
            ``none`` (computed in double precision). The truth is rounded to the nearest unless ``none``.
            8-bit input is kept.
        masked: whether the known zones of the trimap are imposed on the prediction.
        region: the pixels that count: ``unknown`` (trimap == 128) or ``whole``.
        error_region: the pixels over which the errors of sad, mse and mad are summed; mse and mad still
            divide by the number of pixels of ``region``.
        min_max: whether Grad stretches each matte to [0, 1] over the whole image (Matlab's mat2gray).
        thresholds: the ten levels of Conn.
        tie: which of two equally large components Conn keeps: the one that comes first by ``column`` (Matlab)
            or by ``row``.
        background_competes: whether the background can be Conn's largest "component", as in code that counts
            its label 0 with the others.
    """

    name: str
    description: str
    rounding: Literal["nearest", "truncate", "none"] = "nearest"
    masked: bool = False
    region: Literal["unknown", "whole"] = "unknown"
    error_region: Literal["unknown", "whole"] = "unknown"
    min_max: bool = True
    thresholds: tuple[float, ...] = EXACT_THRESHOLDS
    tie: Literal["column", "row"] = "column"
    background_competes: bool = False


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "adobe",
            "the Matlab evaluation of Deep Image Matting: 8-bit, raw prediction, unknown zone",
        ),
        Protocol(
            "adobe_masked",
            "the same with the trimap's known zones imposed on the prediction",
            masked=True,
        ),
        Protocol(
            "whole",
            "every pixel counts, no trimap needed (Robust Video Matting, P3M)",
            region="whole",
            error_region="whole",
            tie="row",
        ),
        Protocol("float", "adobe without rounding to 8 bit, in double precision", rounding="none"),
        Protocol(
            "mmagic",
            "mmagic, mmediting 1.x: masked, sad and mse summed over the whole image, Conn's 0.6 misses 153",
            masked=True,
            error_region="whole",
            thresholds=ARANGE_THRESHOLDS,
            tie="row",
        ),
        Protocol(
            "gca",
            "GCA-Matting: truncated to 8 bit, masked, Grad not stretched, background competes in Conn",
            rounding="truncate",
            masked=True,
            min_max=False,
            thresholds=ARANGE_THRESHOLDS,
            tie="row",
            background_competes=True,
        ),
    )
}


def get_protocol(protocol: str | Protocol) -> Protocol:
    """Return the protocol of that name, or the object itself.

    >>> get_protocol("adobe").masked
    False
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol '{protocol}' is unknown: choose among {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
