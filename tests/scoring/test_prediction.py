"""Mattes, cut-outs and composites of photographs: the files, and the weights and settings of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from deepmatte import load, matte
from deepmatte.batch import Batch
from deepmatte.classical import METHODS
from deepmatte.errors import InputError
from deepmatte.models import DeepImageMatting
from deepmatte.scoring.photographs.photos import find_photos
from deepmatte.scoring.photographs.predict import Output, predict
from deepmatte.scoring.photographs.predictors import (
    Prediction,
    network_predictor,
    predictor_of_method,
    predictor_of_run,
)

HEIGHT, WIDTH = 45, 70
WEIGHTS = {"best": 1, "last": 2, "coarse": 3}
"""Checkpoints of the run, and the seeds of their weights."""


class Scene:
    """A soft disc with colours of its own over a background, whose matte is known exactly."""

    def __init__(self, folder: Path) -> None:
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        distance = np.hypot(y - HEIGHT / 2, x - WIDTH / 2)
        self.alpha = np.clip((20 - distance) / 12, 0, 1)
        warm = np.stack([0.9 - 0.003 * x, 0.5 + 0.004 * y, 0.1 + 0.002 * x], -1)
        self.foreground = warm
        self.background = np.rint(255 * warm[::-1, ::-1, ::-1]).astype(np.uint8)
        a = self.alpha[..., None]
        self.image = np.rint(255 * (a * warm + (1 - a) * self.background / 255)).astype(np.uint8)
        self.trimap = np.where(self.alpha >= 1, 255, np.where(self.alpha <= 0, 0, 128)).astype(np.uint8)
        self.files = {name: folder / f"{name}.png" for name in ("image", "trimap", "background")}
        for name, file in self.files.items():
            Image.fromarray(getattr(self, name)).save(file)

    def predict(self, output: Output) -> None:
        """Write the pictures that the true matte gives."""
        photos = find_photos([self.files["image"]], self.files["trimap"])
        assert list(predict(photos, lambda image, trimap: Prediction(self.alpha), output)) == photos


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def pixels(file: Path) -> np.ndarray:
    """Read a file as it is, colours as RGB, by OpenCV alone."""
    stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    return stored if stored.ndim == 2 else np.dstack([stored[..., 2::-1], stored[..., 3:]])


# ---- what is in the files ----


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_stored_alpha_is_right_to_half_a_step(scene: Scene, tmp_path: Path, bits: int, dtype: type) -> None:
    scene.predict(Output(tmp_path / "out", bits))
    stored = pixels(tmp_path / "out" / "image_alpha.png")
    assert stored.dtype == dtype
    full = 2**bits - 1
    assert np.abs(stored / full - scene.alpha).max() <= 0.5 / full + 1e-12


@pytest.mark.parametrize("bits", [8, 16])
def test_cutout_holds_the_matte_and_where_it_is_opaque_the_photograph(
    scene: Scene, tmp_path: Path, bits: int
) -> None:
    scene.predict(Output(tmp_path / "out", bits))
    cutout, alpha = (
        pixels(tmp_path / "out" / "image_cutout.png"),
        pixels(tmp_path / "out" / "image_alpha.png"),
    )
    assert cutout.dtype == alpha.dtype
    assert np.array_equal(cutout[..., 3], alpha)
    opaque = scene.alpha == 1
    assert opaque.any()
    assert np.array_equal(cutout[opaque][:, :3], scene.image[opaque].astype(int) * ((2**bits - 1) // 255))


def test_cutout_has_the_colours_of_the_foreground_rather_than_the_photographs(
    scene: Scene, tmp_path: Path
) -> None:
    scene.predict(Output(tmp_path / "out"))
    unknown = scene.trimap == 128
    weight = scene.alpha[unknown][:, None]
    colours = pixels(tmp_path / "out" / "image_cutout.png")[..., :3] / 255
    error, without = (
        np.abs(weight * (c[unknown] - scene.foreground[unknown])).mean() for c in (colours, scene.image / 255)
    )
    assert error < without / 4


def test_the_old_background_gives_the_photograph_back(scene: Scene, tmp_path: Path) -> None:
    scene.predict(Output(tmp_path / "out", background=scene.files["background"]))
    composite = pixels(tmp_path / "out" / "image_composite.png") / 255
    colours = pixels(tmp_path / "out" / "image_cutout.png")[..., :3] / 255
    # The matte is exact, so what the composite lacks is alpha times what the estimated colours lack, and
    # three roundings.
    bound = scene.alpha[..., None] * np.abs(colours - scene.foreground) + 1.5 / 255
    assert (np.abs(composite - scene.image / 255) <= bound).all()
    known = scene.trimap != 128
    assert np.array_equal(np.rint(255 * composite[known]), scene.image[known])


def test_a_new_background_is_scaled_to_cover_and_cut_alike_on_both_sides(
    scene: Scene, tmp_path: Path
) -> None:
    bands = np.zeros(
        (2 * HEIGHT, 6 * WIDTH, 3), np.uint8
    )  # three bands, each of the photograph's shape at twice its size
    for band in range(3):
        bands[:, 2 * WIDTH * band : 2 * WIDTH * (band + 1), band] = 200
    Image.fromarray(bands).save(tmp_path / "bands.png")
    scene.predict(Output(tmp_path / "out", background=tmp_path / "bands.png"))
    composite = pixels(tmp_path / "out" / "image_composite.png")
    inner = (scene.alpha == 0) & (np.abs(np.arange(WIDTH) - WIDTH / 2) < WIDTH / 2 - 4)
    assert (composite[inner] == (0, 200, 0)).all()


def test_a_photograph_that_lies_on_its_side_is_matted_upright(scene: Scene, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    Image.fromarray(np.rot90(scene.image)).save(tmp_path / "turned.png", exif=exif)
    photos = find_photos([tmp_path / "turned.png"], scene.files["trimap"])
    list(predict(photos, lambda image, trimap: Prediction(scene.alpha), Output(tmp_path / "out")))
    cutout = pixels(tmp_path / "out" / "turned_cutout.png")
    assert np.array_equal(cutout[scene.alpha == 1][:, :3], scene.image[scene.alpha == 1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1)])
def test_a_photograph_of_a_few_pixels_is_matted(tmp_path: Path, shape: tuple[int, int]) -> None:
    Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(np.full(shape, 128, np.uint8)).save(tmp_path / "trimap.png")
    photos = find_photos([tmp_path / "small.png"], tmp_path / "trimap.png")
    list(predict(photos, predictor_of_method("trivial"), Output(tmp_path / "out")))
    assert (pixels(tmp_path / "out" / "small_alpha.png") == 128).all()


def test_trivial_matte_is_the_trimap_with_half_for_unknown(scene: Scene) -> None:
    alpha = predictor_of_method("trivial")(scene.image, scene.trimap).alpha
    assert np.array_equal(alpha, np.select([scene.trimap == 0, scene.trimap == 128], [0.0, 0.5], 1.0))


def test_known_zones_are_imposed_on_a_method(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "constant", lambda image, trimap: np.full(trimap.shape, 0.25))
    alpha = predictor_of_method("constant")(scene.image, scene.trimap).alpha
    assert [set(alpha[scene.trimap == value]) for value in (0, 128, 255)] == [{0.0}, {0.25}, {1.0}]


# ---- a run's weights and settings ----


def network(seed: int) -> DeepImageMatting:
    """Return a tiny network whose refiner, too, has weights of its own."""
    torch.manual_seed(seed)
    model = DeepImageMatting(width=1 / 16)
    torch.nn.init.normal_(model.refiner.convs[-1].weight)
    return model.eval()


def expected(name: str, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return the alpha and the coarse alpha of the network itself."""
    batch = Batch(
        image=torch.tensor(scene.image / 255).permute(2, 0, 1)[None].float(),
        trimap=torch.tensor(scene.trimap)[None, None],
    )
    with torch.no_grad():
        matte = network(WEIGHTS[name])(batch)
    return matte.alpha[0, 0].numpy(), matte.coarse.alpha[0, 0].numpy()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory as training leaves it, with weights that were not trained."""
    directory = tmp_path_factory.mktemp("run")
    (directory / "checkpoints").mkdir()
    (directory / ".hydra").mkdir()
    for name, seed in WEIGHTS.items():
        state = {f"model.{key}": value for key, value in network(seed).state_dict().items()}
        checkpoint = {
            "state_dict": state,
            "deepmatte": {"stage": "joint", "refine": name != "coarse", "scores": {}},
        }
        torch.save(checkpoint, directory / "checkpoints" / f"{name}.ckpt")
    model = {
        "_target_": "deepmatte.models.DeepImageMatting",
        "width": 1 / 16,
        "pretrained": "/no/such/weights.pth",
    }
    OmegaConf.save({"seed": 0, "impose_trimap": True, "model": model}, directory / ".hydra" / "config.yaml")
    return directory


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_run_gives_its_networks_matte_with_the_known_zones_imposed(
    run: Path, scene: Scene, name: str
) -> None:
    alpha = predictor_of_run(run, name)(scene.image, scene.trimap).alpha
    unknown = scene.trimap == 128
    np.testing.assert_allclose(alpha[unknown], expected(name, scene)[0][unknown], atol=1e-6)
    assert np.array_equal(alpha[~unknown], scene.trimap[~unknown] / 255)


def test_a_checkpoint_of_a_stage_without_refiner_gives_the_coarse_matte(run: Path, scene: Scene) -> None:
    alpha = predictor_of_run(run, str(run / "checkpoints" / "coarse.ckpt"))(scene.image, scene.trimap).alpha
    refined, coarse = expected("coarse", scene)
    unknown = scene.trimap == 128
    np.testing.assert_allclose(alpha[unknown], coarse[unknown], atol=1e-6)
    assert np.abs(refined - coarse)[unknown].max() > 1e-3


def test_known_zones_stay_the_networks_where_the_run_says_so(run: Path, scene: Scene, tmp_path: Path) -> None:
    free = shutil.copytree(run, tmp_path / "free")
    config = OmegaConf.load(free / ".hydra" / "config.yaml")
    config.impose_trimap = False
    OmegaConf.save(config, free / ".hydra" / "config.yaml")
    np.testing.assert_allclose(
        predictor_of_run(free)(scene.image, scene.trimap).alpha, expected("best", scene)[0], atol=1e-6
    )


def test_tiles_of_a_trimaps_known_zones_cost_nothing_and_change_nothing() -> None:
    model, sizes = network(1), []
    model.register_forward_pre_hook(
        lambda model, arguments: sizes.append(tuple(arguments[0]["image"].shape[-2:]))
    )
    image = np.random.default_rng(0).integers(0, 256, (200, 650, 3), np.uint8)
    trimap = np.full((200, 650), 255, np.uint8)
    trimap[20:100, 20:90] = 128
    alpha = network_predictor(model, refine=True, impose=True, tile=128)(image, trimap).alpha
    # Tiles start at multiples of 96: (0, 0) and (96, 0) alone reach the unknown zone, whose rows end at 100.
    assert sizes == [(128, 128), (104, 128)]
    whole = network_predictor(model, refine=True, impose=True)(image, trimap).alpha
    assert np.array_equal(alpha[trimap == 255], whole[trimap == 255])


def test_one_tile_as_large_as_the_photograph_is_the_photograph(run: Path, scene: Scene) -> None:
    whole, one = (predictor_of_run(run, tile=tile)(scene.image, scene.trimap).alpha for tile in (0, 128))
    assert np.array_equal(whole, one)


def test_a_model_that_reads_more_than_a_trimap_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeepImageMatting, "reads", ("image", "captured_background"))
    with pytest.raises(InputError, match="also reads captured_background,"):
        predictor_of_run(run)


def test_want_of_memory_names_the_photograph_and_its_size(scene: Scene, tmp_path: Path) -> None:
    def exhausted(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    photos = find_photos([scene.files["image"]], scene.files["trimap"])
    with pytest.raises(RuntimeError, match=rf"image.png: not enough memory for {WIDTH}x{HEIGHT} pixels"):
        list(predict(photos, exhausted, Output(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_a_loaded_network_is_called_like_a_method_and_gives_the_commands_matte(
    run: Path, scene: Scene
) -> None:
    network = load(run, checkpoint="last")
    assert isinstance(network.model, DeepImageMatting)
    expected = predictor_of_run(run, "last")(scene.image, scene.trimap).alpha
    assert np.array_equal(network(scene.image, scene.trimap), expected)
    tensor = torch.from_numpy(scene.image / 255).permute(2, 0, 1)[None].float()
    assert "DeepImageMatting, reads image and trimap" in repr(network)
    found = matte(tensor, torch.from_numpy(scene.trimap)[None, None], method=network)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-6)


def test_a_place_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run directory"):
        load(tmp_path)


def test_a_networks_tiles_are_checked_where_it_is_loaded(run: Path) -> None:
    with pytest.raises(InputError, match="tile=100: give 0, or a multiple of 128 pixels"):
        load(run, tile=100)


def test_a_photograph_that_can_not_be_matted_does_not_stop_the_others(tmp_path: Path) -> None:
    """Seven of them, of which the second breaks off and the fifth has vanished; the order stays."""
    for folder in ("photos", "trimaps"):
        (tmp_path / folder).mkdir()
    for number in range(7):
        Image.fromarray(np.full((4, 5, 3), 10 * number, np.uint8)).save(tmp_path / f"photos/{number}.png")
        Image.fromarray(np.full((4, 5), 128, np.uint8)).save(tmp_path / f"trimaps/{number}.png")

    def solve(image: np.ndarray, trimap: np.ndarray) -> Prediction:
        if image[0, 0, 0] == 10:
            raise MemoryError
        return Prediction(np.full((4, 5), image[0, 0, 0] / 255, np.float32))

    photos = find_photos([tmp_path / "photos"], tmp_path / "trimaps")
    photos[4].file.unlink()
    faults: list[Exception] = []
    done = [photo.name for photo in predict(photos, solve, Output(tmp_path / "out"), faults.append)]
    assert done == ["0", "2", "3", "5", "6"]
    assert ["1.png: not enough memory" in str(faults[0]), "4.png: there is no such" in str(faults[1])] == [
        True
    ] * 2
    for name in done:
        assert (pixels(tmp_path / f"out/{name}_alpha.png") == 10 * int(name)).all()
    assert len(list((tmp_path / "out").iterdir())) == 2 * len(done)
