"""Mistakes of published code change reference cases by far more than ``test_published_values`` tolerates."""

import numpy as np
import pytest
import textbook
from reference_cases import CASES

TIGHT = 1e-9


def published(case, score):
    return case.value(f"canonical_f64.{score}.raw_whole")


def textbook_value(case, score, **choices):
    return getattr(textbook, score)(case.arrays["pred_u8"], case.arrays["alpha_u8"], **choices)


@pytest.mark.parametrize("score", ["grad", "conn"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_textbook_oracle_equals_the_published_value(case, score):
    assert textbook_value(case, score) == pytest.approx(published(case, score), rel=TIGHT, abs=1e-9)


# The values are those of the table in the reference notes.
MISTAKES = [
    ("grad", "P01", {"border": "constant"}, 75.4708),
    ("grad", "P14", {"border": "constant"}, 30.6203),
    ("grad", "P04", {"border": "mirror"}, 1658.5442),
    ("grad", "P03", {"half": 3}, 143.9941),
    ("grad", "P03", {"half": 5}, 171.9914),
    ("grad", "P10", {"unit_energy": False}, 42.2702),
    ("grad", "P04", {"min_max": False}, 1866.5275),
    ("grad", "P14", {"min_max": False}, 16.6111),
    ("conn", "P12", {"compare": np.greater}, 1156.5),
    ("conn", "P03", {"structure": textbook.EIGHT}, 308.3353),
    ("conn", "P14", {"keep": "all"}, 11.9098),
    ("conn", "P01", {"step": 20}, 0.0),
    ("conn", "P01", {"theta": 0.1}, 79.6275),
]


@pytest.mark.parametrize(("score", "name", "mistake", "value"), MISTAKES)
def test_a_wrong_variant_fails_on_a_reference_case(score, name, mistake, value):
    wrong = textbook_value(CASES[name], score, **mistake)
    assert wrong == pytest.approx(value, abs=1e-4), "the variant is not the one that was meant"
    assert wrong != pytest.approx(published(CASES[name], score), rel=1e-3), "the reference would not notice"


def test_the_wrong_tie_break_fails_on_the_case_with_two_equal_components():
    """In the unknown zone, which has one of the two; over all of P13 both choices give the same sum."""
    case = CASES["P13"]
    row_major = textbook_value(case, "conn", mask=case.arrays["trimap"] == 128, column_tie=False)
    assert row_major == pytest.approx(109.6118, abs=1e-4)
    assert row_major != pytest.approx(case.value("canonical_f64.conn.raw_unknown"), rel=1e-3)
