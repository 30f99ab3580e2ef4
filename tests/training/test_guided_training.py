"""Where models that refine classical mattes get them: in training, tests with wider trimaps, prediction."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import compose

from deepmatte import load
from deepmatte.batch import Batch, example_batch
from deepmatte.errors import InputError
from deepmatte.metrics import functional
from deepmatte.metrics.functional.robustness import widen_unknown
from deepmatte.models import GuidedMatting
from deepmatte.ops.zones import trivial_matte
from deepmatte.scoring.photographs.predictors import network_predictor
from deepmatte.training.building import from_config
from deepmatte.training.guides import solvers, with_guide
from deepmatte.training.module import MattingModule

SMALL = {"width": 0.125, "decoder_width": 0.125, "levels": 2, "guides": ("trivial",)}


def test_an_untrained_network_with_trivial_guides_is_the_trivial_matte() -> None:
    model, batch = GuidedMatting(**SMALL), example_batch(size=40)
    torch.testing.assert_close(
        model(with_guide(batch, model)).alpha, trivial_matte(batch["trimap"]), rtol=0, atol=1e-5
    )
    image = (255 * batch["image"][0].permute(1, 2, 0)).byte().numpy()
    trimap = batch["trimap"][0, 0].numpy()
    for tile in (0, 128):
        alpha = network_predictor(model, refine=True, impose=True, tile=tile)(image, trimap).alpha
        np.testing.assert_allclose(alpha, trivial_matte(trimap), rtol=0, atol=1e-5)


def test_where_a_test_widens_the_trimap_the_guide_is_solved_again() -> None:
    model, batch = GuidedMatting(**SMALL), example_batch(size=40)
    module = MattingModule(model, radii=(3,))
    module.test_step(with_guide(batch, model), 0)
    wide = [widen_unknown(trimap[0].numpy(), 3) for trimap in batch["trimap"]]
    for row, trimap, truth in zip(module.robustness["3"].per_image(), wide, batch["alpha"], strict=True):
        zones = torch.from_numpy(trimap)[None]
        trivial = functional.sad(trivial_matte(zones), truth, zones)
        assert row["sad"] == pytest.approx(float(trivial), rel=1e-4)


def test_a_model_without_guides_keeps_its_batch_and_unknown_methods_are_refused() -> None:
    from deepmatte.models import VggSegNet

    with torch.device("meta"):
        other = VggSegNet()
    batch: Batch = example_batch()
    assert with_guide(batch, other) is batch
    with pytest.raises(InputError, match=r"^model\.guides: there is no method closed; did you mean"):
        solvers(["closed"])


@pytest.mark.slow
def test_a_run_solves_its_guides_once_and_mattes_and_scores_photographs(
    tiny: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    overrides = [word for word in tiny() if not word.startswith(("stages.", "model."))]
    overrides += ["model=guided", "model.guides=[trivial]", "model.width=0.125", "model.levels=2"]
    overrides += ["model.decoder_width=0.125", "data.fixed_stream=true", "data.guides.crop=32"]
    overrides += ["laptop.epochs=2", f"data.guides.dir={tmp_path / 'guides'}", "wandb.mode=disabled"]

    def run(folder: str, *more: str) -> Path:
        words = [*overrides, *more, f"hydra.run.dir={tmp_path / folder}"]
        subprocess.run([sys.executable, "-m", "deepmatte.cli.train", *words], check=True, capture_output=True)
        assert json.loads((tmp_path / folder / "result.json").read_text())["status"] == "finished"
        return tmp_path / folder

    def files() -> dict[Path, int]:
        return {file: file.stat().st_ino for file in (tmp_path / "guides").iterdir()}

    first = run("first")
    solved = files()
    assert 8 <= len(solved) <= 8 + 3 + 3  # of training, validation and test; equal pictures share one
    second = run("second", "data.num_workers=1", "loss=alpha")
    assert files() == solved
    batch = example_batch(num=1, size=64)
    alphas = [
        load(folder)((255 * batch["image"][0].permute(1, 2, 0)).byte().numpy(), batch["trimap"][0, 0].numpy())
        for folder in (first, second)
    ]
    zones = batch["trimap"][0, 0].numpy()
    for alpha in alphas:
        np.testing.assert_array_equal(alpha[zones != 128], zones[zones != 128] / 255)
    assert not np.array_equal(*alphas)
    done = [sys.executable, "-m", "deepmatte.cli.evaluate", f"run={first}", "robustness=true"]
    subprocess.run(done, check=True, capture_output=True)
    assert list(first.glob("evaluations/*/robustness.csv"))


def test_a_run_from_pretrained_weights_is_built_again_with_the_norm_that_it_had(tmp_path: Path) -> None:
    from omegaconf import OmegaConf

    from deepmatte.models.encoders.layers import FrozenBatchNorm
    from deepmatte.runs.directory import RunDir
    from deepmatte.training.score import model_of_run

    own = {"stage": "joint", "refine": True, "scores": {}}
    torch.save({"state_dict": {}, "deepmatte": own}, tmp_path / "any.ckpt")
    for pretrained, frozen in (("imagenet", True), (None, False)):
        model = {"_target_": "deepmatte.models.GuidedMatting", "pretrained": pretrained, "norm": None}
        settings = OmegaConf.create({"model": {**model, "decoder_width": 0.125}})
        made, *_ = model_of_run(RunDir(tmp_path), settings, str(tmp_path / "any.ckpt"))
        assert any(isinstance(part, FrozenBatchNorm) for part in made.modules()) == frozen


@pytest.mark.parametrize("crop", ["abc", -3, 1.5])
def test_a_part_that_is_no_side_is_refused(crop: object) -> None:
    with pytest.raises(InputError, match=rf"data\.guides\.crop={crop}: give the side"):
        from_config.build_data(compose("train", ["model=guided", f"data.guides.crop={crop}"]))
