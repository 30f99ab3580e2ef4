"""The reference cases: inputs rebuilt from formulas, and what published programs gave for them.

``values.json`` holds figures only; the sources, versions and parameters of each stand in its ``catalogue``.
Put this folder on ``sys.path`` in a ``conftest.py`` and import ``CASES``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One case: its spec, the published values by id, and its arrays (``alpha``, ``pred`` and others)."""

    name: str
    spec: dict
    values: dict[str, float]
    digests: dict[str, str]

    @cached_property
    def arrays(self) -> Arrays:
        arrays = _build(self.spec, self.spec["params"])
        if self.spec["previous_frame_params"]:
            previous = _build(self.spec, {**self.spec["params"], **self.spec["previous_frame_params"]})
            arrays |= {f"{name}_prev_u8": previous[f"{name}_u8"] for name in ("alpha", "pred")}
        if self.spec["color"]:
            arrays |= _colours(self.spec["H"], self.spec["W"])
        return arrays

    def value(self, name: str) -> float:
        """Return a published value; what the source gave as not finite is a float too."""
        return float(self.values[name])


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@cache
def reference() -> dict:
    return json.loads(Path(__file__).with_name("values.json").read_text())


def _build(spec: dict, params: dict) -> Arrays:
    height, width = spec["H"], spec["W"]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    known = (
        "sqrt",
        "sin",
        "cos",
        "clip",
        "where",
        "mod",
        "floor",
        "abs",
        "maximum",
        "minimum",
        "zeros_like",
        "ones_like",
    )
    scope = {name: getattr(np, name) for name in known} | {"x": x, "y": y, "H": height, "W": width, **params}
    scope |= {"zeros": np.zeros_like, "ones": np.ones_like}
    for definition in spec["definitions"]:
        name, formula = definition.split(" = ", 1)
        scope[name] = _evaluate(formula, scope)
    arrays: Arrays = {}
    for name in ("alpha", "pred"):
        scope[name] = arrays[name] = _round(_evaluate(spec[name], scope))
    arrays["trimap"] = np.broadcast_to(_evaluate(spec["trimap"], scope), x.shape).astype(np.uint8)
    arrays |= {
        f"{name}_u8": np.floor(255 * arrays[name] + 0.5).astype(np.uint8) for name in ("alpha", "pred")
    }
    certain = np.clip(arrays["pred"], 0.005, 0.995)
    arrays["logit"] = np.floor(1024 * np.log(certain / (1 - certain)) + 0.5) / 1024
    return arrays


def _evaluate(formula: str, scope: dict) -> np.ndarray:
    return eval(
        formula, {"__builtins__": {}}, scope
    )  # the formulas are ours, from values.json beside this file


def _round(values: np.ndarray) -> np.ndarray:
    """Odd multiples of 1/8192 between 0 and 1: no value lies on a threshold of any metric."""
    return np.where(values <= 0, 0.0, np.where(values >= 1, 1.0, (np.floor(values * 4096) + 0.5) / 4096))


def _colours(height: int, width: int) -> Arrays:
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.float64)
    fg = 0.5 + 0.4 * np.sin(x / (11 + c) + c) * np.cos(y / (13 - c))
    bg = 0.5 + 0.4 * np.cos(x / (9 + 2 * c)) * np.sin(y / (7 + c) + c)
    return {"fg": np.floor(fg * 256 + 0.5) / 256, "bg": np.floor(bg * 256 + 0.5) / 256}


CASES: dict[str, Case] = {
    case["name"].split("_")[0]: Case(
        case["name"],
        case["spec"],
        case["values"],
        {name: array["sha256"] for name, array in case["arrays"].items()},
    )
    for case in reference()["cases"]
}
