"""Whether a finished run is what its configuration would make now: by fingerprints of code and data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from deepmatte.errors import InputError
from deepmatte.runs.fingerprint import code_fingerprint, differing
from deepmatte.training.building import from_config
from deepmatte.training.datamodule import MattingData


def fingerprint(config: DictConfig, data: MattingData) -> dict[str, Any]:
    """Return what ``result.json`` keeps: 16 hex digits of the code, and of the data of each split.

    Files of a data set enter by name and length (`MattingDataset.digest`), so that it takes no time.
    """
    datasets = {
        "train": data.train_dataset(),
        "val": data.eval_dataset("val"),
        "test": data.eval_dataset("test"),
    }
    digests = {split: dataset.digest()[:16] for split, dataset in datasets.items()}
    return {"code": code_fingerprint(_plain(config)), "data": digests}


def differences(config: DictConfig, result: Mapping[str, Any]) -> list[str]:
    """Return what is no longer as it was when ``result`` was written, such as ``code`` or ``train data``.

    Data that can't be found any more count as unchanged: a run can be looked at without them.
    """
    record = result.get("fingerprint")
    if not isinstance(record, Mapping):  # a run of the first edition
        return []
    try:
        return list(differing(record, fingerprint(config, from_config.build_data(config))))
    except InputError:
        return list(differing(record, {"code": code_fingerprint(_plain(config))}))


def _plain(config: DictConfig) -> dict[str, Any]:
    visible = OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("hydra", "logger")])
    plain = OmegaConf.to_container(visible, resolve=True)
    assert isinstance(plain, dict)
    return plain  # type: ignore[return-value]
