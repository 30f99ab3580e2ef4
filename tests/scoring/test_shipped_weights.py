"""A name in place of a run: weights that come with the package, loaded, and taken by default."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepmatte import load
from deepmatte.cli.main import call
from deepmatte.errors import InputError
from deepmatte.models import GuidedMatting, shipped
from deepmatte.models.shipped import Shipped, write_shipped
from deepmatte.ops.zones import trivial_matte

OPTIONS = {"guides": ["trivial"], "width": 0.125, "decoder_width": 0.125, "levels": 2}


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An untrained network on trivial guides, whose mattes are therefore known."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    model = {"_target_": "deepmatte.models.GuidedMatting", **OPTIONS}
    network = Shipped(model, True, True, GuidedMatting(**OPTIONS).state_dict())
    write_shipped(tmp_path / "shipped/starter.safetensors", network, {})
    return "starter"


@pytest.fixture
def trimap() -> np.ndarray:
    return np.repeat(np.array([0, 128, 255], np.uint8), 10)[None].repeat(20, 0)


def test_a_name_loads_the_network_and_nothing_of_it_is_chosen(name: str, trimap: np.ndarray) -> None:
    network = load(name)
    assert network.guide == "trimap"
    alpha = network(np.full((20, 30, 3), 90, np.uint8), trimap)
    np.testing.assert_allclose(alpha, trivial_matte(trimap), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=r"^starter: has no checkpoints"):
        load(name, checkpoint="last")
    with pytest.raises(InputError, match=r"^nothing: "):
        load("nothing")


def test_predict_takes_the_starter_by_default_and_says_so(
    name: str, trimap: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, zones = tmp_path / "cat.png", tmp_path / "trimap.png"
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(photo)
    Image.fromarray(trimap).save(zones)
    for words, says in (([], True), ([name], False)):
        out = tmp_path / f"out{len(words)}"
        assert call("predict", [*words, str(photo), "--trimap", str(zones), "--out", str(out)]) == 0
        assert ("matted by the weights starter" in capsys.readouterr().err) == says
        found = np.asarray(Image.open(out / "cat_alpha.png")).astype(int)
        np.testing.assert_allclose(found, 255 * trivial_matte(trimap), rtol=0, atol=1)


def test_a_network_with_guides_is_exported_as_weights_alone(name: str, tmp_path: Path) -> None:
    from deepmatte.scoring.export import export_run

    with pytest.raises(InputError, match=r"^--to torch: its network also reads mattes of classical methods"):
        export_run(Path(name), "torch", tmp_path / "any.pt2")
