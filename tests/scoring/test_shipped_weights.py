"""A name in place of a run: weights that come with the package, loaded, and taken by default."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepmatte import load, matte
from deepmatte.cli.main import call
from deepmatte.data import Composition, CompositionDataset
from deepmatte.data.procedural import ProceduralData
from deepmatte.errors import InputError
from deepmatte.metrics.functional.matting import score_image
from deepmatte.models import GuidedMatting, shipped
from deepmatte.models.shipped import Shipped, write_shipped
from deepmatte.ops.zones import trivial_matte
from deepmatte.scoring.photographs import predictors

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
    assert np.array_equal(matte(np.full((20, 30, 3), 90, np.uint8), trimap, method=name), alpha)
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


def test_the_starter_mattes_in_tiles_and_a_run_whole(
    name: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[int] = []
    made = predictors.TiledModel
    monkeypatch.setattr(
        predictors,
        "TiledModel",
        lambda model, tile, **options: sides.append(tile) or made(model, tile, **options),
    )
    load(name)
    assert sides == [shipped.TILE]
    load(name, tile=0)
    load(trained)
    assert sides == [shipped.TILE], "0 is the whole picture, and a run's default"


def errors(pairs: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], method: str) -> np.ndarray:
    """Return the mean SAD, MSE, Grad and Conn of a method over (image, alpha, trimap)."""
    scores = ("sad", "mse", "grad", "conn")
    found = [
        [*score_image(matte(image, zones, method=method), alpha, zones, scores=scores).values()]
        for image, alpha, zones in pairs
    ]
    return np.mean(found, 0)


def test_the_starter_comes_along_and_is_small() -> None:
    file = shipped.shipped()["starter"]
    assert file.stat().st_size < 6e6
    settings = shipped.read_shipped(file)
    assert settings.impose
    assert settings.model["pretrained"] is None, "it needs no extra"


@pytest.mark.slow
def test_the_starter_is_better_than_its_guide_on_drawn_foregrounds_of_another_seed() -> None:
    source = ProceduralData(seed=1, kinds=["hair", "fur"], num_test=4)
    layers = source.foregrounds("test"), source.backgrounds("test")
    samples = CompositionDataset(*layers, Composition(), seed=0, split="test")
    drawn = [samples[(0, index)] for index in range(4)]
    pairs = [
        (s["image"].permute(1, 2, 0).numpy(), s["alpha"][0].numpy(), s["trimap"][0].numpy()) for s in drawn
    ]
    (method,) = shipped.read_shipped(shipped.shipped()["starter"]).model["guides"]
    own, guide = errors(pairs, "starter"), errors(pairs, method)
    assert (own < guide).all(), (own, guide)


@pytest.mark.slow
@pytest.mark.parametrize("trimap", ["trimap_tight", "trimap_loose"])
def test_the_starter_is_better_than_its_guide_and_closed_form_on_photographs(trimap: str) -> None:
    """The card's figures of closed form and of the guide, which pymatting and the method's own test hold."""
    root = Path(os.environ.get("DEEPMATTE_REAL_DATA", "nowhere")) / "alphamatting"
    if not root.is_dir():
        pytest.skip("DEEPMATTE_REAL_DATA names no folder of photographs")
    files = sorted((root / "image").glob("*.png"))
    read = lambda file: np.asarray(Image.open(file).convert("L"))  # noqa: E731
    pairs = [
        (
            np.asarray(Image.open(file)),
            read(root / "alpha" / file.name) / 255,
            read(root / trimap / file.name),
        )
        for file in files
    ]
    closed_form, guide = {
        "trimap_tight": ([5.077, 18.541, 7.719, 4.651], [4.041, 7.213, 2.223, 3.666]),
        "trimap_loose": ([6.553, 16.774, 9.185, 5.890], [4.551, 5.892, 2.329, 3.933]),
    }[trimap]
    own = errors(pairs, "starter")
    assert len(files) == 13
    assert (own < np.array(guide)).all(), own
    assert (own < 0.8 * np.array(closed_form)).all(), own
