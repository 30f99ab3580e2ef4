"""Arguments are checked by annotations; the message names the key, the value and what fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval
from pydantic import BaseModel

from deepmatte.errors import InputError, check_arguments


@dataclass(frozen=True)
class Warp:
    scale: tuple[float, float]
    rotation: float = 0.0


class Target:
    def __init__(
        self,
        whole: int = 1,
        number: float = 1.0,
        switch: bool = False,
        text: str = "",
        folder: Path | str | None = None,
        share: Annotated[float, Interval(ge=0, le=1)] | None = None,
        side: Annotated[int, Ge(1)] = 1,
        width: Annotated[float, Gt(0)] = 1,
        sides: Sequence[float] | None = None,
        chances: float | Mapping[str, float] = 0.5,
        deep: Mapping[str, Mapping[str, float | None]] | None = None,
        norm: Literal["none", "batch"] = "none",
        copy: Literal["a"] | None = None,
        warp: Warp | None = None,
        other: object = None,
        advised: Annotated[Annotated[float, Gt(0)] | None, "give minutes above 0, or null"] = None,
        guessed=2.0,
    ) -> None: ...


FIT: list[dict[str, Any]] = [
    {"whole": 3, "number": 3, "switch": True, "text": "a", "folder": None, "other": {"any": object()}},
    {"share": 1, "side": 1, "width": 1e-9, "sides": (1, 2.5), "chances": {"a": 1}, "norm": "batch"},
    {"share": None, "sides": [], "chances": 1, "deep": {"a": {"b": None}}, "folder": Path("x"), "copy": "a"},
    {"warp": {"scale": [1, 2]}, "guessed": 3, "unknown": "left to the target"},
]

UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"whole": "x"}, "place.whole=x: has to be a whole number"),
    ({"whole": 1.5}, "place.whole=1.5: has to be a whole number"),
    ({"whole": True}, "place.whole=True: has to be a whole number"),
    ({"number": "1"}, "place.number=1: has to be a number"),
    ({"number": True}, "place.number=True: has to be a number"),
    ({"number": float("nan")}, "place.number=nan: has to be a finite number"),
    ({"switch": 1}, "place.switch=1: has to be true or false"),
    ({"text": 5}, "place.text=5: has to be a text"),
    ({"folder": 5}, "place.folder=5: has to be a path or a text or null"),
    ({"share": 2}, "place.share=2: has to be from 0 to 1"),
    ({"share": "all"}, "place.share=all: has to be a number or null"),
    ({"side": 0}, "place.side=0: has to be 1 or more"),
    ({"width": 0}, "place.width=0: has to be above 0"),
    ({"sides": [1, "a"]}, "place.sides=[1, 'a']: has to be a list (of a number) or null"),
    ({"sides": "12"}, "place.sides=12: has to be a list (of a number) or null"),
    ({"chances": "often"}, "place.chances=often: has to be a number or keys with values"),
    ({"chances": {"up": "often"}}, "place.chances.up=often: has to be a number"),
    ({"deep": 3}, "place.deep=3: has to be keys with values or null"),
    ({"deep": {"a": {"b": []}}}, "place.deep.a.b=[]: has to be a number or null"),
    ({"norm": "layer"}, "place.norm=layer: is none of none, batch"),
    ({"copy": "b"}, "place.copy=b: has to be a or null"),
    ({"warp": 3}, "place.warp=3: has to be keys with values or null"),
    (
        {"warp": {"scale": [1, 2], "rotate": 3}},
        "place.warp.rotate: there is no such key; did you mean `place.warp.rotation`?",
    ),
    ({"warp": {"scale": [1, 2, 3]}}, "place.warp.scale=[1, 2, 3]: has to be a list of 2 (each a number)"),
    ({"warp": {}}, "place.warp.scale is missing: it has to be a list of 2 (each a number)"),
    ({"guessed": "x"}, "place.guessed=x: has to be a number"),
    ({"advised": "soon"}, "place.advised=soon: give minutes above 0, or null"),
    ({"advised": 0}, "place.advised=0: give minutes above 0, or null"),
    ({"text": ["line\nbreak"]}, "place.text=['line\\nbreak']: has to be a text"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", FIT)
def test_arguments_that_fit_their_annotations_pass(arguments: dict[str, Any]) -> None:
    check_arguments(Target, arguments, "place")


@pytest.mark.parametrize(("arguments", "message"), UNFIT)
def test_an_argument_that_does_not_fit_is_named_with_what_does(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        check_arguments(Target, arguments, "place")
    assert str(refused.value) == message


def test_a_pydantic_model_says_which_keys_there_are() -> None:
    class Section(BaseModel, extra="forbid", strict=True):
        mode: Literal["on", "off"] = "on"

    check_arguments(Section, {"mode": "off"}, "wandb")
    with pytest.raises(InputError, match=r"^wandb\.mod: there is no such key; did you mean `wandb\.mode`\?$"):
        check_arguments(Section, {"mod": "off"}, "wandb")
    with pytest.raises(InputError, match=r"^mode=3: is none of on, off$"):
        check_arguments(Section, {"mode": 3})
