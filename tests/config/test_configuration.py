"""Every YAML composes, and every key in it is one that the code it feeds takes."""

from __future__ import annotations

import importlib
import inspect

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict
from tiny_run import compose, rows_of_choices

from deepmatte.config.build import build
from deepmatte.config.places import conf_dir
from deepmatte.config.unknown_keys import check_keys
from deepmatte.errors import InputError, check_arguments
from deepmatte.runs.identity import ADDED_SINCE, NOT_IDENTITY, config_hash

CONF = conf_dir()
EXPERIMENTS = sorted(file.stem for file in (CONF.parent / "experiments").glob("*.yaml"))
ROWS = [["budget=laptop", *(f"{group}={name}" for group, name in row)] for row in rows_of_choices()]
LOSSES = sorted(file.stem for file in (CONF / "loss").glob("*.yaml"))


def targets(node: object, place: str = ""):
    if isinstance(node, dict):
        if "_target_" in node:
            yield place, node
        for key, child in node.items():
            yield from targets(child, f"{place}.{key}" if place else str(key))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        *(("train", row) for row in ROWS),
        *(("train", [f"debug={file.stem}"]) for file in sorted((CONF / "debug").glob("*.yaml"))),
        *(("evaluate", [f"method={file.stem}"]) for file in sorted((CONF / "method").glob("*.yaml"))),
    ],
    ids=str,
)
def test_every_choice_composes_and_fits_the_signatures_that_it_feeds(page: str, words: list[str]) -> None:
    plain = OmegaConf.to_container(compose(page, words), resolve=False)
    for place, node in targets(plain):
        module, _, name = node["_target_"].rpartition(".")
        parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        unknown = {key for key in node if not key.startswith("_")} - set(parameters)
        assert open_ended or not unknown, f"{place}: {node['_target_']} takes no {unknown}"
    fits_kinds(plain)


def fits_kinds(plain: object) -> None:
    """Values in the YAML are of the annotated kinds; what it refers to is checked in its own place."""
    for place, node in targets(plain):
        module, _, name = node["_target_"].rpartition(".")
        if module.startswith("deepmatte"):
            own = {key: value for key, value in node.items() if "${" not in str(value) and value != "???"}
            check_arguments(getattr(importlib.import_module(module), name), own, place)


@pytest.mark.slow  # a quick test takes the gradient of every preset (tests/losses/test_loss_presets.py)
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "table"])
def test_every_loss_preset_makes_a_table(name: str) -> None:
    from deepmatte.losses import LossTable

    table = LossTable(OmegaConf.to_container(compose("train", [f"loss={name}"]).loss, resolve=True))
    assert table.rows


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_an_experiment_sets_survives_composition(name: str) -> None:
    file = CONF.parent / "experiments" / f"{name}.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# @package _global_")
    for word in ("# Claim", "# Cost:", "# Command:"):
        assert word in text, f"{file.name} has no header line {word}"
    own = OmegaConf.load(file)
    composed = compose("train", [f"experiments={name}"])
    assert isinstance(own, DictConfig)
    fits_kinds(OmegaConf.to_container(composed, resolve=False))
    check_keys(composed, "train")
    for key in own:
        if key not in ("defaults", "hydra"):
            alone = OmegaConf.create({key: composed[key]})
            merged = OmegaConf.merge(alone, {key: own[key]})
            plain = [OmegaConf.to_container(node, resolve=False) for node in (merged, alone)]
            assert plain[0] == plain[1], f"{key} of {name} is lost in composition"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_leaves_its_seeds_to_the_budget(name: str) -> None:
    file = OmegaConf.load(CONF.parent / "experiments" / f"{name}.yaml")
    assert "seeds" not in file
    assert "0,1,2,3,4".startswith(file.get("laptop", {}).get("seeds", "0"))
    grid = (OmegaConf.to_container(file)["hydra"].get("sweeper") or {}).get("params") or {}
    assert grid.get("seed", "${seeds}") == "${seeds}"


def test_an_experiment_has_five_seeds_and_fewer_on_a_laptop_unless_seeds_are_given() -> None:
    words = ["experiments=loss_combinations"]
    full = compose("train", [*words, "budget=full"]).seeds
    assert full == "0,1,2,3,4"
    assert full.startswith(f"{compose('train', words).seeds},")
    assert compose("train", [*words, "seeds='7,8'"]).seeds == "7,8"


@pytest.mark.parametrize("budget", ["laptop", "full"])
@pytest.mark.parametrize(
    ("name", "key", "names"),
    [
        (name, key, list(names))
        for name in EXPERIMENTS
        for key, option in (("step", "steps"), ("losses", "losses"))
        if (
            names := (OmegaConf.load(CONF.parent / "experiments" / f"{name}.yaml").get("study") or {}).get(
                option
            )
        )
    ],
)
def test_named_recipes_of_a_study_make_runs_that_differ_in_more_than_the_name(
    name: str, key: str, names: list[str], budget: str
) -> None:
    made = set()
    config = compose("train", [f"experiments={name}", f"budget={budget}"])
    for choice in names:
        config[key] = choice
        plain = OmegaConf.to_container(config, resolve=True)
        made.add(str({part: value for part, value in plain.items() if part not in (key, "plan", "study")}))
    assert len(made) == len(names)


def test_a_top_level_page_lists_and_explains_every_key() -> None:
    text = (CONF / "train.yaml").read_text(encoding="utf-8")
    for key in compose("train", []):
        assert f"\n{key}:" in text or f"- {key}:" in text, key


def test_machine_and_place_do_not_change_the_hash_but_everything_else_does() -> None:
    plain = config_hash(compose("train", []))
    for override in (
        "output_root=/elsewhere",
        "trainer.devices=2",
        "data.num_workers=7",
        "force=true",
        "wandb.project=other",
    ):
        assert config_hash(compose("train", [override])) == plain, override
    for override in (
        "seed=1",
        "loss=alpha",
        "trainer.gradient_clip_val=2",
        "data.source.size=300",
        "name=other",
        "ema=0.9",
    ):
        assert config_hash(compose("train", [override])) != plain, override
    assert "seed" not in NOT_IDENTITY


@pytest.mark.parametrize("key", ADDED_SINCE)
def test_a_key_that_was_added_later_counts_only_where_it_differs(key: str) -> None:
    config = compose("train", [])
    OmegaConf.resolve(config.loss)  # one row refers to another, which is taken away below
    hashes = set()
    added = ADDED_SINCE[key]
    other = {**added, "weight": 2} if isinstance(added, dict) else "something else"
    for value in (added, other):
        OmegaConf.update(config, key, value, force_add=True)
        hashes.add(config_hash(config))
    *parents, last = key.split(".")
    with open_dict(config):
        del (OmegaConf.select(config, ".".join(parents)) if parents else config)[last]
    assert len(hashes) == 2
    assert config_hash(config) in hashes


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(InputError, match=r"model: .*wdith"):
        build({"_target_": "deepmatte.models.DeepImageMatting", "wdith": 1.0}, "model")


def test_a_folder_in_the_working_folder_is_a_group_only_if_it_holds_yaml_files(tmp_path, monkeypatch) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)  # a run of a user's, called run
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "mine.yaml").write_text("terms: {alpha: {weight: 2}}\n")
    monkeypatch.chdir(tmp_path)
    assert compose("evaluate", ["run=run"]).run == "run"
    assert compose("train", ["loss=mine"]).loss.terms.alpha.weight == 2
    (tmp_path / "run" / "one.yaml").write_text("seed: 1\n")
    assert compose("evaluate", ["+run=one"]).run.seed == 1


@pytest.mark.parametrize(
    "word",
    [
        *("data=2", "data=1.5", "data=true", "loss=[1]", "loss=[[alpha]]", "+trainer=_self_", "hydra=0"),
        *("hydra/launcher=7", "data=1,2", "data=folder,2", "data=range(2)", "~data=2", "~data=[]"),
    ],
)
def test_a_choice_that_is_no_name_is_refused_before_hydra_stumbles_over_it(word) -> None:
    group = word.lstrip("~+").partition("=")[0]
    with pytest.raises(InputError, match=rf"{group}=.*: has to be the name of a file in {group}/"):
        compose("train", [word])


def test_a_group_of_null_is_told_how_to_leave_it_out() -> None:
    with pytest.raises(InputError, match="leave it out with ~budget"):
        compose("train", ["budget=null"])
    for word in ("~budget", "~budget=laptop", "data.source={}", "trainer=[cpu]", "data='procedural'"):
        compose("train", [word])
