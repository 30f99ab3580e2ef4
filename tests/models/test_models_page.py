"""docs/models.md is current, and what it counts agrees with closed forms and published figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import deepmatte.models
from deepmatte.batch import Matte
from deepmatte.models import MattingModel
from deepmatte.models.base import Inputs
from deepmatte.models.page import choices, multiplications, page, parameters

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conf" / "model"
COMMITTED = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
RUN = "run: python -m deepmatte.models.page conf/model > docs/models.md"


def test_the_committed_page_is_current_but_for_what_is_measured() -> None:
    without = re.sub(r"\| [\d,.]+ \|$", "|  |", COMMITTED, flags=re.MULTILINE)
    assert without == page(FOLDER, measured=False), RUN


@pytest.mark.slow
def test_the_committed_page_is_current() -> None:
    assert page(FOLDER) == COMMITTED, RUN


def test_every_network_is_on_the_page_with_its_source_and_differences() -> None:
    networks = {name for name in deepmatte.models.__all__ if name != "MattingModel"}
    assert {choice.model.__name__ for choice in choices(FOLDER)} == networks
    sections = re.split(r"^## ", COMMITTED, flags=re.MULTILINE)[1:]
    for text in sections:
        if text.partition("\n")[0] in networks:
            assert "\nSource: " in text
            assert "\nDifferences: " in text


class OneConvolution(MattingModel):
    multiple = 16
    critics = ("judge",)

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 3, padding=1)
        self.judge = torch.nn.Linear(7, 7)

    def predict(self, inputs: Inputs, refine: bool = True) -> Matte:
        return Matte(self.conv(inputs["image"])[:, :1])


def test_multiplications_are_those_of_the_padded_picture() -> None:
    """1080 rows are padded to 1088: 1088 x 1920 pixels, 9 x 3 x 5 each."""
    with torch.device("meta"):
        model = OneConvolution()
    assert multiplications(model) == 1088 * 1920 * 9 * 3 * 5
    assert parameters(model) == 9 * 3 * 5 + 5
