"""Hydra 1.3 and 1.4, OmegaConf 2.3 and 2.4: `make test-next` runs all tests under the newer ones."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from deepmatte.config import releases
from deepmatte.config.compose import compose


def test_a_resolver_takes_the_place_of_an_earlier_one() -> None:
    for value in (1, 2):
        releases.register_resolver("deepmatte.of_a_test", lambda value=value: value)
    assert OmegaConf.create({"key": "${deepmatte.of_a_test:}"}).key == 2


def test_neither_library_warns_its_users_of_what_we_do() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compose("evaluate").split == "test"


def test_hydra_may_build_our_callback_and_what_the_user_trusts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def main_of_1_3(config_path=None, config_name=None, version_base=None): ...
    def main_of_1_4(config_path=None, config_name=None, version_base=None, execution_whitelist=None): ...

    monkeypatch.setenv("DEEPMATTE_ALLOWED_TARGETS", "mine.,yours")
    monkeypatch.setattr(hydra, "main", main_of_1_3)
    assert releases.main_options() == {"version_base": "1.3"}
    monkeypatch.setattr(hydra, "main", main_of_1_4)
    allowed = ["deepmatte.sweeps.ending.SweepGuard", "mine.*", "yours.*"]
    assert releases.main_options() == {"execution_whitelist": allowed}


def test_help_that_is_no_text_is_not_looked_at_while_hydra_defines_its_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.14 checks the help of each option when it is defined; here a check as strict stands for it."""

    def strict(parser: argparse.ArgumentParser, action: argparse.Action) -> None:
        if action.help is not None and "%" in action.help:
            raise ValueError("badly formed help string")

    monkeypatch.setattr(argparse.ArgumentParser, "_check_help", strict, raising=False)
    lazy, wrong = (argparse.Action([], "x", help=text) for text in (object(), "100 %"))  # type: ignore[arg-type]
    parser: Any = argparse.ArgumentParser()
    with releases.lazy_help():
        parser._check_help(lazy)
        with pytest.raises(ValueError, match="badly"):
            parser._check_help(wrong)
    with pytest.raises(TypeError):
        parser._check_help(lazy)
