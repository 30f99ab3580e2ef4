import pytest
from reference_cases import CASES, digest


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_inputs_rebuilt_from_their_formulas_are_those_of_the_reference(case):
    assert {name: digest(array) for name, array in case.arrays.items()} == case.digests
