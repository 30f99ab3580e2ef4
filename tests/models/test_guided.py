"""GuidedMatting: untrained it is its guide; what it may change, what it sees, and that it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from deepmatte.batch import Batch, example_batch
from deepmatte.errors import InputError
from deepmatte.models import GuidedMatting
from deepmatte.ops.zones import impose_trimap

SMALL = {"width": 0.25, "decoder_width": 0.125, "levels": 3}


def guided_batch(num_guides: int = 1, size: int = 33) -> Batch:
    """An example whose guides are wrong in the unknown zone: alpha to a power."""
    batch = example_batch(size=size)
    wrong = torch.cat([batch["alpha"] ** (number + 2) for number in range(num_guides)], 1)
    return Batch(**{**batch, "guide": impose_trimap(wrong, batch["trimap"])})


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_untrained_it_is_its_guide_to_the_bit_and_the_plain_mean_of_several() -> None:
    batch = guided_batch()
    assert torch.equal(GuidedMatting(**SMALL)(batch).alpha, batch["guide"])
    batch = guided_batch(2)
    alpha = GuidedMatting(guides=("closed_form", "knn"), **SMALL)(batch).alpha
    torch.testing.assert_close(alpha, batch["guide"].mean(1, keepdim=True), rtol=0, atol=1e-7)


@pytest.mark.parametrize("guides", [("closed_form",), ("closed_form", "knn")])
def test_known_zones_stay_and_alpha_stays_in_its_range_whatever_the_weights(guides) -> None:
    batch, model = guided_batch(len(guides)), GuidedMatting(guides=guides, **SMALL)
    for parameter in model.decoder.matting_head.parameters():
        nn.init.normal_(parameter, std=5)
    alpha = model(batch).alpha
    known = batch["trimap"] != 128
    torch.testing.assert_close(alpha[known], batch["trimap"][known] / 255, rtol=0, atol=1e-6)
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert not torch.allclose(alpha, batch["guide"][:, :1], atol=0.1)


def test_the_encoder_sees_the_colours_alone_at_first_and_learns_to_see_the_rest() -> None:
    model, batch = GuidedMatting(**SMALL), guided_batch()
    nn.init.normal_(model.decoder.matting_head.matting_convs[-1].weight)
    model(batch).alpha.sum().backward()
    stem = model.encoder.conv_stem.weight
    assert not stem[:, 3:].any()
    assert stem.grad[:, 3:].abs().amax((0, 2, 3)).min() > 0


def test_it_learns_what_its_guide_gets_wrong_and_one_sample_does_not_depend_on_another() -> None:
    model, batch = GuidedMatting(**SMALL), guided_batch()
    unknown = batch["trimap"] == 128
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    errors = []
    for _ in range(25):
        loss = (model(batch).alpha - batch["alpha"])[unknown].abs().mean()
        errors.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert min(errors[-5:]) < 0.6 * errors[0]
    alone = Batch(**{key: values[:1] for key, values in batch.items()})
    torch.testing.assert_close(model(alone).alpha, model(batch).alpha[:1], rtol=0, atol=1e-5)


def test_four_levels_of_lite0_are_the_first_four_of_all() -> None:
    whole, part = GuidedMatting(decoder_width=0.125), GuidedMatting(decoder_width=0.125, levels=4)
    part.encoder.load_state_dict(whole.encoder.state_dict(), strict=False)
    picture = torch.rand(1, 5, 64, 96)
    for few, all_of_them in zip(part.encoder(picture), whole.encoder(picture)[:4], strict=True):
        assert torch.equal(few, all_of_them)
    assert part.multiple == 16
    numbers = [sum(p.numel() for p in model.encoder.parameters()) for model in (part, whole)]
    assert numbers[0] < 0.27 * numbers[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guides": ()}, r"^model\.guides=\[\]: name one or more"),
        ({"guides": ("knn", "knn")}, r"^model\.guides=\[knn,knn\]: .* each once"),
        ({"levels": 6}, r"^model\.levels=6: lite0 has 5 levels"),
        ({"encoder": "mobilenetv2", "levels": 3}, r"^model\.levels=3: only encoder lite0"),
    ],
)
def test_what_it_can_not_be_made_of_is_refused_in_one_line(options, message) -> None:
    with pytest.raises(InputError, match=message):
        GuidedMatting(**options)
