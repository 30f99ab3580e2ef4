"""What differs between the releases of Hydra (1.3 and 1.4) and OmegaConf (2.3 and 2.4) that we work with."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from omegaconf import OmegaConf

from deepmatte.config.trust import trusted_packages

BUILT_BY_HYDRA = ("deepmatte.sweeps.ending.SweepGuard",)
"""The ``_target_``s below ``hydra`` that are no plugins: Hydra builds these, `config.build` all others."""


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Make ``${NAME:…}`` known to OmegaConf, in the place of an earlier one of that name."""
    register: Any = OmegaConf.register_resolver
    if "replace" not in inspect.signature(register).parameters:  # in 2.3 something older has this name
        register = OmegaConf.register_new_resolver
    register(name, resolver, replace=True)


def base() -> dict[str, Any]:
    """Return the arguments by which Hydra composes as its release 1.3 does.

    Later ones do without being told, and warn of it.
    """
    return {} if _has_whitelist() else {"version_base": "1.3"}


def main_options() -> dict[str, Any]:
    """Return `base` and, where Hydra takes one, the list of what it may build for `hydra.main`."""
    allowed = [*BUILT_BY_HYDRA, *(f"{package}.*" for package in trusted_packages())]
    return {**base(), **({"execution_whitelist": allowed} if _has_whitelist() else {})}


@contextmanager
def lazy_help() -> Iterator[None]:
    """Let Hydra 1.3 define its options, one of whose help texts is no text until it is shown.

    Python 3.14 looks at each text when an option is defined; Hydra 1.4 knows that.
    """
    check: Any = getattr(argparse.ArgumentParser, "_check_help", None)
    if check is None:
        yield
        return

    def check_text(parser: argparse.ArgumentParser, action: argparse.Action) -> None:
        if isinstance(action.help, str | None):
            check(parser, action)

    setattr(argparse.ArgumentParser, "_check_help", check_text)  # noqa: B010  unknown to types before 3.14
    try:
        yield
    finally:
        setattr(argparse.ArgumentParser, "_check_help", check)  # noqa: B010


def _has_whitelist() -> bool:
    return "execution_whitelist" in inspect.signature(hydra.main).parameters
