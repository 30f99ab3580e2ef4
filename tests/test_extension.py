"""A package of a user's own, `tests/extension/`: everything in it is found, and it works beside the wheel."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import compose

from deepmatte.batch import Matte, example_batch
from deepmatte.errors import InputError
from deepmatte.metrics.names import Metric
from deepmatte.metrics.own import OwnMetrics
from deepmatte.runs.directory import RunDir
from deepmatte.training import score
from deepmatte.training.building import from_config

ROOT = Path(__file__).parents[1]
EXTENSION = ROOT / "tests" / "extension"
COMMANDS = re.findall(r"```bash\n(.*?)```", (EXTENSION / "README.md").read_text(encoding="utf-8"), re.S)
SMALL = (
    "seeds='0'",
    "laptop.epochs=1",
    "laptop.samples_per_epoch=8",
    "data.source.num_train=4",
    "data.source.num_val=3",
    "data.source.num_test=3",
    "data.num_workers=0",
    "num_pictures=2",
    "wandb.mode=disabled",
)


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the folder of the extension, which is trusted."""
    monkeypatch.chdir(EXTENSION)
    monkeypatch.syspath_prepend(EXTENSION / "src")
    monkeypatch.setenv("DEEPMATTE_ALLOWED_TARGETS", "softedges.")


@pytest.mark.usefixtures("at_home")
def test_everything_that_an_extension_brings_is_found_from_its_folder() -> None:
    config = compose("train", ["experiments=edge_loss"])
    assert type(from_config.build_model(config)).__module__ == "softedges.network"
    data = from_config.build_data(config)
    assert data.source.name == "discs"
    assert not set(data.source.foregrounds("train").names) & set(data.source.foregrounds("test").names)
    assert data.train_dataset()[0, 0]["alpha"].shape == (1, 96, 96)
    losses = from_config.build_losses(config, "joint")
    assert [row.name for row in losses.rows] == ["alpha", "edges"]
    losses.check(data.serves("train"))
    names = [type(callback).__name__ for callback in from_config.build_callbacks(config)]
    assert names == ["PictureGrids", "LearningRateMonitor", "EdgeScores"]
    assert OwnMetrics(from_config.build_metrics(config)).declared == {"edge": Metric("x1000", False)}


@pytest.mark.usefixtures("at_home")
def test_an_extension_that_is_not_trusted_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPMATTE_ALLOWED_TARGETS")
    config = compose("train", ["experiments=edge_loss"])
    parts = ("model", "data", "callbacks", "metrics")
    for build in (getattr(from_config, f"build_{part}") for part in parts):
        with pytest.raises(InputError, match="DEEPMATTE_ALLOWED_TARGETS"):
            build(config)
    with pytest.raises(InputError, match=r"softedges\.loss is not allowed"):
        from_config.build_losses(config, "joint")


@pytest.mark.usefixtures("at_home")
def test_evaluations_find_it_too() -> None:
    assert compose("evaluate", ["data=discs"]).data.source._target_ == "softedges.source.Discs"


@pytest.mark.usefixtures("at_home")
def test_an_own_model_is_built_again_without_a_key_that_it_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our models have `pretrained`, which is turned off where a checkpoint is read."""
    monkeypatch.setattr(score, "read_checkpoint", lambda path: {"path": path.name})
    config = compose("train", ["experiments=edge_loss"])
    model, weights, _ = score.model_of_run(RunDir(tmp_path), config, "best")
    assert type(model).__name__ == "SlimMatting"
    assert weights == {"path": "best.ckpt"}


@pytest.mark.usefixtures("at_home")
def test_the_extension_computes_what_it_says() -> None:
    """The area of a soft disc is pi (r^2 + s^2 / 3); loss and metric by hand."""
    from softedges.loss import edge_loss
    from softedges.metric import EdgeError
    from softedges.network import SlimMatting
    from softedges.source import disc

    assert disc(200, (99.3, 101.6), 60, 9).sum() == pytest.approx(np.pi * (60**2 + 9**2 / 3), rel=1e-4)
    batch = example_batch(size=9)
    assert SlimMatting().eval()(batch).alpha.shape == batch["alpha"].shape
    assert edge_loss(Matte(batch["alpha"]), batch) == 0
    truth = torch.tensor([0.0, 0.5, 0.25, 1.0]).reshape(1, 1, 2, 2)
    trimap = torch.tensor([0, 128, 128, 255], dtype=torch.uint8).reshape(1, 1, 2, 2)
    error = truth + torch.tensor([0.9, 0.1, -0.2, -0.9]).reshape(1, 1, 2, 2)
    # Weights are 1 + 2 x 4 a (1 - a): 3 and 2.5.
    known = {"alpha": truth, "trimap": trimap}
    assert edge_loss(Matte(error), known, sharpness=2) == pytest.approx((3 * 0.1 + 2.5 * 0.2) / 2)
    metric = EdgeError()
    metric.update(error, truth)
    assert float(metric.compute()) == pytest.approx(150)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment outside the checkout that has both wheels, and dependencies from this one."""
    home = tmp_path_factory.mktemp("installed")
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    wheels = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(home / "wheels"),
    ]
    subprocess.run([*wheels, *isolation, str(ROOT), str(EXTENSION)], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "env")], check=True)
    python = home / "env" / "bin" / "python"
    where = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*where, *map(str, sorted((home / "wheels").glob("*.whl")))], check=True)
    (site,) = (home / "env").glob("lib/python*/site-packages")
    # A path in a .pth file brings packages, but not the .pth files beside them, of which one is the checkout.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    shutil.copytree(EXTENSION, home / "mine", ignore=shutil.ignore_patterns("__pycache__"))
    return home


@pytest.fixture
def user(installed: Path) -> Callable[[list[str]], str]:
    """Return what runs a command in the extension's folder as one does who has only the two packages."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "PATH": f"{installed / 'env' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "DEEPMATTE_ALLOWED_TARGETS": "softedges.",
    }

    def run(words: list[str]) -> str:
        done = subprocess.run(
            words, cwd=installed / "mine", env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.mark.slow
def test_an_extension_works_beside_the_wheel_word_for_word_as_its_page_says(
    installed: Path, user: Callable[[list[str]], str]
) -> None:
    """Overrides make its runs small; the packages are those of the environment, the checkout is not seen."""
    code = "import deepmatte, softedges; print(deepmatte.__file__, softedges.__file__, sep='\\n')"
    for file in user(["python", "-c", code]).split():
        assert Path(file).is_relative_to(installed / "env")
    install, trust, *commands = COMMANDS[0].strip().splitlines()
    assert install.startswith("pip install deepmatte")
    assert trust == "export DEEPMATTE_ALLOWED_TARGETS=softedges."
    for command in commands:
        words = shlex.split(command)
        user([*words, *(SMALL if words[1] in ("train", "study") else ())])
    home = installed / "mine"
    results = [json.loads(file.read_text()) for file in home.glob("runs/edge_loss/*/result.json")]
    assert [result["status"] for result in results] == ["finished"] * 2
    for split in ("val", "test", "trivial/test"):
        assert all(0 < result["scores"][f"{split}/edge"] < 1000 for result in results)
    assert "edge x1000 ↓" in (home / "report" / "comparison.html").read_text(encoding="utf-8")
    assert (home / "report" / "comparison.html").is_file()
    evaluated = list(home.glob("runs/edge_loss/*/evaluations/*/per_image.csv"))
    assert len(evaluated) == 2
    with evaluated[0].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16  # the source's own number of test pictures
    assert all(float(row["edge"]) > 0 for row in rows)
    assert (home / "experiments" / "edge_loss.md").is_file()
