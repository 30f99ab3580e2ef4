"""Make a run's network one that comes along: ``python -m release.ship_weights RUN NAME [GUIDE ...]``.

Its best checkpoint is written in half precision, with the network's configuration, the hash of the run's and
the commit. With other guides than the run's it will correct theirs, as many, which it has not seen. What it
is worth says ``python benchmarks/photographs.py NAME``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from deepmatte.models.shipped import FOLDER, SUFFIX, Shipped, write_shipped
from deepmatte.models.weights import load_weights
from deepmatte.runs.directory import RunDir
from deepmatte.training.score import model_of_run


def main(run: Path, name: str, guides: Sequence[str] = ()) -> Path:
    """Write the file and return it."""
    directory = RunDir(run)
    settings = directory.config("model")
    model, weights, source = model_of_run(directory, settings, "best")
    load_weights(model, weights, source)
    origin = {"trained_guides": ",".join(model.guides)} if guides else {}
    if guides:
        settings.model.guides = list(guides)
    plain = OmegaConf.to_container(settings.model, resolve=True)
    network = Shipped(
        plain, bool(settings.impose_trimap), bool(weights["deepmatte"]["refine"]), model.state_dict()
    )
    result = directory.result() or {}
    origin |= {key: str(result.get(key)) for key in ("experiment", "config_hash", "seed", "git_commit")}
    file = FOLDER / f"{name}{SUFFIX}"
    write_shipped(file, network, origin)
    return file


if __name__ == "__main__":
    written = main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    print(f"{written}: {written.stat().st_size:,} bytes")
