"""A named recipe is trained: a budget sets sizes and lengths, and chooses only where nothing else does."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from tiny_run import compose, rows_of_choices

from deepmatte.config.places import conf_dir
from deepmatte.config.unknown_keys import check_keys
from deepmatte.data import Composition
from deepmatte.errors import InputError

CONF = conf_dir()
BUDGETS = ("laptop", "full")
SET_BY_BUDGETS = {
    "composition.crop_sizes",
    "composition.size",
    "data.batch_size",
    "data.samples_per_epoch",
    "length.epochs",
    "length.shares",
    "seeds",
}
"""Sizes and lengths: all that a budget may set."""
SET_BY_MODELS = {"composition.captured.plate"}
"""What a model that reads a captured background needs of every composition."""


def choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


@cache
def read(group: str, name: str) -> Mapping[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"), resolve=False)
    assert isinstance(plain, dict)
    return plain  # type: ignore[return-value]


def written(group: str, name: str) -> dict[str, Any]:
    """Return what ``conf/GROUP/NAME.yaml`` says, laid over the files of its defaults list, without Hydra."""
    own = dict(read(group, name))
    merged: dict[str, Any] = {}
    for entry in own.pop("defaults", ["_self_"]):
        if entry == "_self_":
            merged = laid_over(merged, own)
        elif isinstance(entry, str):  # a mapping is a choice in another group
            parent, _, package = entry.partition("@")
            part = written(group, parent)
            for word in reversed(package.split(".") if package else []):
                part = {word: part}
            merged = laid_over(merged, part)
    return merged


def laid_over(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in top.items():
        old = both.get(key)
        both[key] = laid_over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def leaves(node: Any, place: str) -> dict[str, Any]:
    if isinstance(node, dict) and node:
        return {
            key: leaf
            for name, child in node.items()
            for key, leaf in leaves(child, f"{place}.{name}" if place else str(name)).items()
        }
    return {place: node}


def placed(group: str, name: str) -> dict[str, Any]:
    """Return the keys that ``conf/GROUP/NAME.yaml`` sets, where they are in the whole configuration."""
    first = (CONF / group / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    own = written(group, name)
    return leaves(own if first == "# @package _global_" else {group: own}, "")


@pytest.mark.parametrize("budget", ["laptop", pytest.param("full", marks=pytest.mark.slow)])
def test_every_choice_is_what_its_file_says_under_every_budget(budget: str) -> None:
    for row in rows_of_choices():
        config = compose("train", [f"budget={budget}", *(f"{group}={name}" for group, name in row)])
        composed = leaves(OmegaConf.to_container(config, resolve=False), "")
        for group, name in row:
            for key, value in placed(group, name).items():
                if key not in SET_BY_BUDGETS | SET_BY_MODELS:
                    assert composed[key] == value, f"{group}={name} under budget={budget}: {key}"


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_sets_sizes_and_lengths_only(budget: str) -> None:
    body = dict(read("budget", budget))
    body.pop("defaults", None)
    assert {key for name, node in body.items() for key in leaves(node, name)} <= SET_BY_BUDGETS


def test_what_a_recipe_leaves_out_is_what_dim_says() -> None:
    """`dim.yaml` lists every option of the constructor, and the others say nothing that it says."""
    dim = written("composition", "dim")
    assert set(dim) - {"_target_"} == set(inspect.signature(Composition).parameters)
    for name in set(choices("composition")) - {"dim"}:
        own = dict(read("composition", name))
        assert own.pop("defaults") == ["dim", "_self_"]
        assert set(own) <= set(dim)
        said = leaves(own, name)
        assert all(leaves(dim, name).get(key) != value for key, value in said.items()), "says what dim says"


@pytest.mark.parametrize("budget", BUDGETS)
def test_an_experiment_s_own_recipe_and_sizes_win_over_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    (tmp_path / "experiments").mkdir()
    text = "# @package _global_\ndefaults: [override /composition: none, override /optimizer: sgd]\n"
    text += "composition: {size: 64}\n"
    (tmp_path / "experiments" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    config = compose("train", ["experiments=mine", f"budget={budget}"])
    assert (config.composition.erode, config.composition.flip, config.composition.size) == ([15, 15], 0.0, 64)
    assert (config.optimizer._target_, config.optimizer.lr) == ("torch.optim.SGD", 0.01)
    named = compose("train", ["experiments=mine", f"budget={budget}", "composition=gca", "optimizer=adamw"])
    assert (named.composition.merge, named.optimizer.lr) == (0.5, 0.001)


@pytest.mark.parametrize(
    ("page", "key", "meant"),
    [
        ("train", "experiment", "did you mean `experiments=`?"),
        ("train", "tqdm", "conf/train.yaml lists the keys"),
        ("train", "callback", "did you mean `callbacks=`?"),
        ("evaluate", "runs", "did you mean `run=`?"),
    ],
)
def test_a_top_level_key_that_nothing_reads_is_refused(page: str, key: str, meant: str) -> None:
    config = compose(page, [f"+{key}=stages"])
    with pytest.raises(InputError, match=rf"^unknown key `{key}`, which nothing reads; ") as refused:
        check_keys(config, page)
    assert meant in str(refused.value)


def test_a_key_of_one_s_own_is_welcome_where_something_refers_to_it() -> None:
    check_keys(
        compose(
            "train", ["+share=0.3", "loss.dice.weight=${share}", "+limit=2", "ema='${oc.select:limit,1}'"]
        ),
        "train",
    )
    hydra = OmegaConf.create({"sweeper": {"params": {"seed": "${mine}"}}})
    check_keys(compose("train", ["+mine='1,2'"]), "train", hydra)
    with pytest.raises(InputError, match="unknown key `mine`"):
        check_keys(compose("train", ["+mine='1,2'"]), "train")
