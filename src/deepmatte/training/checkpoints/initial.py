"""Starting from weights: ``init``."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from deepmatte.config.initial import digest, initial_file
from deepmatte.errors import InputError
from deepmatte.models import MattingModel
from deepmatte.models.weights import Loaded, read_weights, take_over


def start_from(model: MattingModel, config: DictConfig) -> Loaded | None:
    """Load the weights of ``init`` into the model; None where a run starts at random.

    Raises:
        InputError: the file is not what it was when the run was composed, can't be read, or is of another
            model.
    """
    if config.get("init") is None:
        return None
    if digest(config.init) != config.init_digest:
        raise InputError(f"init={config.init}: has changed since the run was planned; start it again")
    ignore: Any = config.get("init_ignore") or []
    return take_over(model, read_weights(initial_file(config.init)), config.init, list(ignore))
