"""CDOTAD's AlphaGAN on formula weights: size, keys in order, and the alpha that its own network gives."""

from __future__ import annotations

import pytest
import torch
from model_cases import assert_as_published, formula_pictures, formula_trimap, formula_weights, model_cases

from deepmatte.errors import InputError
from deepmatte.models import AlphaGAN
from deepmatte.models.convert import CONVERTERS
from deepmatte.models.convert.alphagan import CDOTAD

CASES = model_cases()
GENERATOR = ("encoder", "aspp", "decoder")


def meta(norm: str = "group") -> AlphaGAN:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return AlphaGAN(norm=norm).eval()


def layout(norm: str) -> dict[str, torch.Tensor]:
    """The entries of a file of theirs, without values."""
    with torch.device("meta"):
        return {
            key: torch.empty(shape) for key, shape in CASES[f"alphagan_generator_{norm}norm"]["state_dict"]
        }


def test_alpha_is_that_of_the_published_network() -> None:
    case, model = CASES["alphagan_generator_groupnorm"], meta()
    state, absent = CDOTAD(formula_weights(case["state_dict"]), model)
    assert absent == ["discriminator"]
    model.load_state_dict(state, strict=False, assign=True)
    inputs = {"image": formula_pictures(2, 96, 128)[0], "trimap": formula_trimap(2, 96, 128)}
    with torch.no_grad():
        assert_as_published(model.predict(inputs, refine=True).alpha, case["alpha"])


@pytest.mark.parametrize(("norm", "entries"), [("group", 208), ("batch", 415)])
def test_every_entry_has_its_place_in_the_source_s_order(norm: str, entries: int) -> None:
    """So that no key can be taken for another one of its shape."""
    theirs, model = layout(norm), meta(norm)
    own = [name for name in model.state_dict() if not name.startswith("discriminator.")]
    assert len(theirs) == entries
    assert [CDOTAD.name(key) for key in theirs] == own
    state, _ = CDOTAD(theirs, model)
    assert list(state) == own
    assert CONVERTERS["alphagan"].overrides(theirs) == ["model=alphagan", f"model.norm={norm}"]
    parts = [sum(p.numel() for p in getattr(model, part).parameters()) for part in GENERATOR]
    case = CASES[f"alphagan_generator_{norm}norm"]
    assert parts == list(case["by_part"].values())
    assert sum(parts) == case["parameters"] == 40_302_336


def test_other_files_are_refused_by_their_first_strange_or_missing_entry() -> None:
    model, theirs = meta(), layout("group")
    with pytest.raises(InputError, match=r"^model\.0\.weight: no entry of the generator of CDOTAD's"):
        CDOTAD({key: torch.empty(shape) for key, shape in CASES["patchgan_n_layers_3"]["state_dict"]}, model)
    del theirs["decoder.skip_2.0.weight"]
    with pytest.raises(InputError, match=r"decoder\.skip_half\.0\.weight"):
        CDOTAD(theirs, model)
    with pytest.raises(InputError, match=r"running_mean"):
        CDOTAD(layout("batch"), model)
