"""Contact sheets: their words can be read."""

from __future__ import annotations

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from deepmatte.data.inspection.sheet import contact_sheet

CELL = 64
PAPER = np.zeros((CELL, CELL, 3), np.uint8)


def written(caption: str, title: str = "image") -> tuple[bytes, bytes]:
    """Return the pixels of the title and of the caption below a black picture."""
    words = contact_sheet([(caption, {title: PAPER})], cell=CELL)[CELL + 6 :]
    return words[:16].tobytes(), words[16:32].tobytes()


@pytest.mark.parametrize("letters", ["äöüß", "éèñçå", "кот", "αβγ", "łżš"])
def test_letters_of_europe_are_no_boxes(letters: str) -> None:
    known = TTFont(font_manager.findfont("DejaVu Sans")).getBestCmap()
    assert set(map(ord, letters)) <= set(known)
    pictures = {written(letter)[1] for letter in letters}
    assert len(pictures) == len(letters), "boxes, and question marks, would be alike"
    assert written("?")[1] not in pictures


def test_what_the_font_lacks_is_a_question_mark() -> None:
    assert written("猫 a\n")[1] == written("? a?")[1]


def test_each_picture_has_its_title() -> None:
    assert written("cat", "image")[0] != written("cat", "matte")[0]
    assert written("cat", "image")[1] == written("cat", "matte")[1]
