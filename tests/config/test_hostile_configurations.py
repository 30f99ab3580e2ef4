"""No configuration executes anything.

Each attack of `hostile` leaves a file, or a secret, where the guard fails, and ends in one line.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import (
    ADAM,
    ATTACKS,
    ATTACKS_ON_TRUST,
    CALLBACK,
    HYDRA,
    IN_A_RUN,
    REFERENCES,
    SECRET,
    TERMS,
    TEXTS,
    TREE,
    Trap,
    stranger,
)
from omegaconf import OmegaConf
from tiny_run import compose

from deepmatte.config.places import conf_dir
from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    monkeypatch.setenv("SECRET_TOKEN", SECRET)
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("trusted", "trustedly", "canary_module"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    trap = Trap(tmp_path)
    yield trap
    assert list(trap.folder.rglob("canary*")) == [trap.folder / "canary_module.py"], (
        "the attack was carried out"
    )


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert SECRET not in text
    return text


# ---- objects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_target_is_refused_before_anything_is_called(trap: Trap, attack: str) -> None:
    from deepmatte.config.build import build

    place, node = ATTACKS[attack]
    for form in (trap.set(node), OmegaConf.create({"here": trap.set(node)}).here):
        with pytest.raises(InputError) as refused:
            build(form, place)
        assert one_line(refused.value).startswith(place)


@pytest.mark.parametrize("attack", ATTACKS_ON_TRUST)
def test_a_package_that_is_trusted_opens_nothing_else(
    trap: Trap, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    from deepmatte.config.build import build

    monkeypatch.setenv("DEEPMATTE_ALLOWED_TARGETS", "trusted.")
    place, node = ATTACKS_ON_TRUST[attack]
    with pytest.raises(InputError) as refused:
        build(trap.set(node), place)
    assert one_line(refused.value).startswith(place)


@pytest.mark.parametrize("words", ["trusted.", "trusted", "other., trusted."])
def test_classes_and_losses_of_a_trusted_package_work(
    trap: Trap, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    from deepmatte.config.build import build
    from deepmatte.models import DeepImageMatting
    from deepmatte.training.building.from_config import build_losses

    config = compose("train", ['+loss.mine={term:"trusted:own_loss",weight:1,power:3}'])
    with pytest.raises(InputError, match="not allowed"):
        build_losses(config, "joint")
    with pytest.raises(InputError, match=r"model\._target_=trusted\.Net"):
        build({"_target_": "trusted.Net", "width": 1 / 16}, "model")
    monkeypatch.setenv("DEEPMATTE_ALLOWED_TARGETS", words)
    assert isinstance(build({"_target_": "trusted.Net", "width": 1 / 16}, "model"), DeepImageMatting)
    assert "mine" in build_losses(config, "joint").names


@pytest.mark.parametrize("attack", TERMS)
def test_a_loss_term_is_a_loss_of_a_trusted_package(
    trap: Trap, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    from deepmatte.training.building.from_config import build_losses

    monkeypatch.setenv("DEEPMATTE_ALLOWED_TARGETS", "trusted.")
    with pytest.raises(InputError) as refused:
        build_losses(compose("train", [f'+loss.mine={{term:"{TERMS[attack]}",weight:1}}']), "joint")
    assert one_line(refused.value).startswith(f"loss.mine.term='{TERMS[attack]}'")


def test_a_reference_in_an_argument_is_resolved_once(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backslash keeps it text; the second time, it would be read."""
    from deepmatte.config.build import build

    config = OmegaConf.create({"optimizer": {**ADAM, "lr": r"\${oc.env:SECRET_TOKEN}"}})
    assert build(config.optimizer, "optimizer").keywords == {"lr": "${oc.env:SECRET_TOKEN}"}


EXACTLY = {
    "model": {
        "AlphaGAN",
        "BackgroundMattingV2",
        "DeepImageMatting",
        "EncoderDecoderMatting",
        "GuidedMatting",
        "MattingModel",
        "VggSegNet",
        "ViTMatte",
    },
    "data.source": {"FolderData", "Mixture", "ProceduralData"},
    "composition": {"Composition", "HardComposition"},
    "method": {
        "ClassicalMethod",
        "ClosedForm",
        "Blend",
        "FastClosedForm",
        "FastInformationFlow",
        "FastKNN",
        "GaussianMixture",
        "GrabCut",
        "InformationFlow",
        "KMeans",
        "KNN",
        "LearningBased",
        "RandomWalk",
        "Trivial",
    },
    "logger.*": {"RunLogger", "WandbRun", "TensorBoardRun", "MlflowRun"},
}


@pytest.mark.parametrize("key", EXACTLY)
def test_of_all_that_our_modules_hold_exactly_these_classes_may_be_built(key: str) -> None:
    from importlib import import_module

    from deepmatte.config.build import PLACES, _class

    allowed = set()
    for module in PLACES[key].modules:
        found = import_module(module)  # some of its names are imported when they are asked for
        for name in {*vars(found), *getattr(found, "__all__", ())}:
            try:
                allowed.add(_class(f"{module}.{name}", key, PLACES[key]).__name__)
            except InputError:
                continue
    assert allowed == EXACTLY[key]


def named_targets(node: Any, key: str) -> list[tuple[str, str]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    own = [(key, node["_target_"])] if isinstance(node, dict) and "_target_" in node else []
    return own + [
        found
        for name, child in children
        for found in named_targets(child, f"{key}.{name}" if key else str(name))
    ]


OF_HYDRA = {
    "hydra.callbacks.sweep_guard": "deepmatte.sweeps.ending.SweepGuard",
    "hydra/sweeper": "hydra_plugins.deepmatte_search.SearchSweeper",
}
"""What Hydra itself builds of ours."""

YAMLS = sorted(
    path for folder in (conf_dir(), conf_dir().parent / "experiments") for path in folder.rglob("*.yaml")
)


@pytest.mark.parametrize("file", YAMLS, ids=[f"{file.parent.name}/{file.stem}" for file in YAMLS])
def test_every_target_of_our_own_files_is_allowed_at_its_place(file: Path) -> None:
    from deepmatte.config.build import _check_name, _class, place_of

    group = file.parent.relative_to(conf_dir()).as_posix() if file.is_relative_to(conf_dir()) else "."
    text = file.read_text(encoding="utf-8")
    whole = group == "." or text.startswith("# @package _global_")
    for key, target in named_targets(yaml.safe_load(text), "" if whole else group):
        if key.startswith("hydra"):
            assert OF_HYDRA[key] == target
        else:
            _check_name(target, key, place_of(key))
            assert _class(target, key, place_of(key)).__name__ == target.rpartition(".")[2]


# ---- run directories of strangers --------------------------------------------------------------------------


@pytest.mark.parametrize("attack", REFERENCES)
def test_a_run_directory_with_references_is_refused(trap: Trap, attack: str) -> None:
    run = stranger(trap, REFERENCES[attack])
    with pytest.raises(InputError) as refused:
        run.config()
    assert all(
        word in one_line(refused.value)
        for word in (str(run.path / ".hydra/config.yaml"), next(iter(REFERENCES[attack])), "${")
    )


@pytest.mark.parametrize("attack", TEXTS)
def test_a_run_directory_that_is_no_plain_data_is_refused(trap: Trap, attack: str) -> None:
    run = stranger(trap)
    for name in ("config", "overrides"):
        (run.path / f".hydra/{name}.yaml").write_text(trap.set(TEXTS[attack]))
    with pytest.raises(InputError) as refused:
        run.config("model")
    assert str(run.path) in one_line(refused.value)
    if attack != "no keys":
        with pytest.raises(InputError):
            run.overrides()


def test_overrides_are_text(trap: Trap) -> None:
    run = stranger(trap)
    lines = ["name=${oc.env:SECRET_TOKEN}", "composition.size=${data.source.size}"]
    (run.path / ".hydra/overrides.yaml").write_text(yaml.safe_dump(lines))
    assert run.overrides() == lines


def test_keys_of_hydra_are_left_out(trap: Trap) -> None:
    config = stranger(trap, {"hydra": HYDRA, "defaults": ["evil"]}, "# @package hydra\n").config()
    assert "hydra" not in config
    assert "defaults" not in config
    assert config.data.source.size == 96


def use(verb: str, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the run to a verb, in this process."""
    if verb == "resume":
        from deepmatte.cli import train

        errors: list[BaseException] = []
        monkeypatch.setattr(sys, "argv", ["deepmatte", f"resume={run.path}"])
        monkeypatch.setattr(train, "report", errors.append)
        with pytest.raises(SystemExit):
            train.run_hydra(train.main)
        raise errors[0]
    if verb == "evaluate":
        from deepmatte.scoring.evaluate import evaluate

        evaluate(compose("evaluate", [f"run={run.path}"]))
    if verb == "predict":
        from deepmatte.scoring.photographs.predictors import predictor_of_run

        predictor_of_run(run.path)


@pytest.mark.parametrize(
    ("verb", "attack"),
    [
        pytest.param(verb, attack, marks=[pytest.mark.slow] if verb != "predict" and number else [])
        for verb in ("resume", "evaluate", "predict")
        for number, attack in enumerate(IN_A_RUN)
    ],
)
def test_a_strangers_run_is_refused_by_each_verb(
    trap: Trap, monkeypatch: pytest.MonkeyPatch, verb: str, attack: str
) -> None:
    monkeypatch.chdir(trap.folder)
    run = stranger(trap, IN_A_RUN[attack])
    with pytest.raises(
        InputError
    ) as refused:  # what a verb has no use for it doesn't read; it then refuses the weights
        use(verb, run, monkeypatch)
    one_line(refused.value)
    assert not [file for file in trap.folder.rglob("*.json") if SECRET in file.read_text()]


WRONG_KINDS: dict[str, tuple[str, Any, str]] = {
    "seed": ("seed", "x", "seed=x: has to be a whole number"),
    "a whole section": ("wandb", 3, "wandb"),
    "a schedule": ("schedule", {"name": 1}, "schedule.name=1: has to be a text"),
    "a key of a section": ("wandb.project", 3, "wandb.project=3: has to be a text"),
    "an unknown key": ("wandb.hook", "x", "wandb.hook: there is no such key"),
    "width": ("model.width", "wide", "model.width=wide: has to be a number"),
    "side": ("composition.size", [1], "composition.size=[1]: has to be a whole number"),
    "an option of a loss": ("loss.focal.gamma", {}, "loss.focal.gamma={}: has to be"),
    "a length": ("length", "long", "length.epochs=long: give the epochs of all stages"),
    "losses of a stage": (
        "stages.encoder_decoder.loss",
        "x",
        "stages.encoder_decoder.loss=x: has to be keys with values",
    ),
    "force": ("force", "yes", "force=yes: has to be true or false"),
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.slow] if number > 3 else [])
        for number, case in enumerate(WRONG_KINDS)
    ],
)
def test_wrong_kinds_in_a_strangers_run_end_in_one_line(
    trap: Trap, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(trap.folder)
    key, value, message = WRONG_KINDS[case]
    run = stranger(trap, {key: value})
    with pytest.raises(InputError) as refused:
        use("resume", run, monkeypatch)
    assert message in one_line(refused.value)


@pytest.mark.parametrize(
    ("written", "environment", "words", "used"),
    [
        ("online", None, [], "offline"),
        ("online", "disabled", [], "disabled"),
        ("offline", "online", [], "online"),
        ("disabled", None, [], "disabled"),
        ("offline", "disabled", ["wandb.mode=online"], "online"),
    ],
)
def test_where_a_run_is_logged_is_decided_where_it_is_resumed(
    trap: Trap,
    monkeypatch: pytest.MonkeyPatch,
    written: str,
    environment: str | None,
    words: list[str],
    used: str,
) -> None:
    if environment is None:
        monkeypatch.delenv("WANDB_MODE", raising=False)
    else:
        monkeypatch.setenv("WANDB_MODE", environment)
    run = stranger(trap, {"wandb.mode": written})
    mode = compose("train", [f"resume={run.path}", *words]).wandb.mode
    assert run.resumed(mode, "model").wandb.mode == used
    assert run.config().wandb.mode == written


def test_a_strangers_run_that_is_repeated_is_not_logged_online(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    from deepmatte.sweeps import ending

    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = stranger(trap, {"wandb.mode": "online"})
    seen: list[str] = []
    monkeypatch.setattr(ending, "start_tree", lambda *_, **__: seen.append(run.config().wandb.mode))
    monkeypatch.setattr(ending, "settle", lambda *_: {"status": "finished"})
    ending.repeat(run, Console(quiet=True))
    assert seen == ["offline"]


@pytest.mark.slow
def test_repeating_a_strangers_run_acts_on_nothing_that_is_hydras(
    trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callbacks in the file, in a group that it selects, in its header, and in what shadows Hydra's own."""
    from rich.console import Console

    from deepmatte.sweeps.ending import repeat

    monkeypatch.chdir(trap.folder)
    run = stranger(
        trap,
        {"hydra": HYDRA, "defaults": [{"hydra/callbacks": "evil"}, "_self_"], "model": TREE},
        "# @package _global_\n",
    )
    for name in (
        "hydra/callbacks/evil.yaml",
        "hydra/config.yaml",
        "callbacks.yaml",
        "hydra/launcher/basic.yaml",
        "train.yaml",
    ):
        file = run.path / ".hydra" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("# @package hydra.callbacks\n" + yaml.safe_dump(trap.set(CALLBACK)))
    result = repeat(run, Console(quiet=True))
    assert result["status"] == "failed"
    assert result["error"].startswith("model._target_=deepmatte.sweeps.process.run_tree")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "train resume=RUN",
        "predict RUN photo.png --trimap photo.png --out out",
        "evaluate RUN",
    ],
)
def test_the_command_line_refuses_a_strangers_run_in_one_line(trap: Trap, words: str) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(trap.folder / "photo.png"), np.full((128, 128), 128, np.uint8))
    run = stranger(trap, {"hydra": HYDRA, "model": ATTACKS["pickle through a module"][1]})
    command = [sys.executable, "-c", "from deepmatte.cli.main import main; main()"]
    command += words.replace("RUN", str(run.path)).split()
    ended = subprocess.run(command, cwd=trap.folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 2, ended.stderr
    assert len([line for line in ended.stderr.splitlines() if line.startswith("deepmatte: ")]) == 1
    assert "Traceback" not in ended.stderr
    assert "model._target_=deepmatte.build.torch.load" in ended.stderr
