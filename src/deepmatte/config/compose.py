"""Composing a configuration from files and overrides, as Hydra does. Nothing here imports torch."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig

from deepmatte.config import initial, length
from deepmatte.config.places import conf_dir
from deepmatte.config.releases import base, register_resolver
from deepmatte.config.unknown_keys import check_choices, explained
from deepmatte.errors import InputError
from deepmatte.runs.identity import run_dir


def quoted(value: object) -> str:
    r"""Return a value as it may stand in an override of Hydra's, whatever characters it has.

    >>> quoted("it's"), quoted("a,b=${c}")
    ("'it\\'s'", "'a,b=\\${c}'")
    """
    # A backslash before `${` counts for OmegaConf, one before a quotation mark for Hydra.
    text = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", str(value))
    return QuotedString(text, Quote.single).with_quotes()


def register_resolvers() -> None:
    """Make known to OmegaConf what ``conf/`` refers to.

    ``${deepmatte.home:}`` is the folder of ``conf/`` and ``experiments/``, where Hydra is to look for both;
    ``${deepmatte.run_dir:}`` the directory of the run; ``${deepmatte.rest:WEIGHT}`` is 1 - WEIGHT;
    ``${deepmatte.epochs:STAGE}`` the length of a stage; ``${deepmatte.digest:INIT}`` what identifies the
    weights that a run starts from.
    """
    register_resolver("deepmatte.home", lambda: str(conf_dir().parent))
    register_resolver("deepmatte.rest", lambda weight: round(1 - weight, 12))
    register_resolver("deepmatte.run_dir", lambda *, _root_: str(run_dir(_root_)))
    initial.register()
    length.register()


def compose(page: str, overrides: Sequence[str] = (), *, hydra: bool = False) -> DictConfig:
    """Return the configuration that ``deepmatte PAGE OVERRIDES`` would have.

    Args:
        page: ``train``, ``evaluate``, or another file of ``conf/``, such as ``loss/dice``.
        overrides: as on the command line.
        hydra: keep the section ``hydra``, which says how jobs are launched.

    Raises:
        InputError: one of them is no override, or names what is not there.
    """
    import hydra as library
    from hydra.errors import HydraException

    register_resolvers()
    check_choices(overrides)
    try:
        with library.initialize_config_dir(str(conf_dir()), **base()):
            return library.compose(page, list(overrides), return_hydra_config=hydra)
    except HydraException as error:
        raise InputError(explained(error, page)) from error
