"""Networks and methods as functions from a photograph and its guide to a matte."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from deepmatte.batch import Batch
from deepmatte.classical import METHODS
from deepmatte.config.build import build
from deepmatte.errors import InputError
from deepmatte.models import MattingModel
from deepmatte.models.shipped import TILE, read_shipped, shipped_file
from deepmatte.models.tiled import TiledModel
from deepmatte.models.weights import OWN_PREFIX, load_weights
from deepmatte.ops.zones import impose_trimap
from deepmatte.runs.directory import RunDir
from deepmatte.scoring.photographs.prediction import GUIDES, Prediction, Predictor
from deepmatte.training.building import from_config
from deepmatte.training.guides import with_guide
from deepmatte.training.score import model_of_run


def predictor_of_method(method: str) -> Predictor:
    """Return a classical method of `deepmatte.classical.METHODS`, with the trimap's known zones imposed."""
    if method not in METHODS:
        raise InputError(f"--method {method}: there is no such method; choose one of {', '.join(METHODS)}")
    solve = METHODS[method]

    def predict(image: np.ndarray, trimap: np.ndarray) -> Prediction:
        return Prediction(impose_trimap(np.asarray(solve(image / 255.0, trimap)), trimap))

    return predict


def predictor_of_run(
    run: Path, checkpoint: str = "best", tile: int | None = None, guide: str = "trimap"
) -> Predictor:
    """Return the network of a run, under the run's settings.

    It runs on the first GPU, if there is one.

    Args:
        run: a run directory, or a name of weights that come with the package (`deepmatte.models.shipped`).
        checkpoint: best, last, or the path of a checkpoint.
        tile: see `network_predictor`; None: 0 for a run, `TILE` for weights that come with the package.
        guide: what the predictor gets beside the image, a key of `GUIDES`.

    Raises:
        InputError: ``run`` is not a run directory, its checkpoint is missing or damaged, or its model does
            not read just the image and that guide.
    """
    return network_of_run(run, checkpoint, tile, guide).predictor


class RunNetwork(NamedTuple):
    """The network of a run, the key of what it reads beside the image, and both as a function."""

    model: MattingModel
    guide: str
    predictor: Predictor


def network_of_run(
    run: Path, checkpoint: str = "best", tile: int | None = None, guide: str | None = None
) -> RunNetwork:
    """Return the network of a run, as `predictor_of_run`; without ``guide`` it may read any of `GUIDES`."""
    trained = trained_network(run, checkpoint, guide)
    model = trained.model.to("cuda" if torch.cuda.is_available() else "cpu")
    if tile is None:
        tile = 0 if shipped_file(run) is None else TILE
    predictor = network_predictor(model, refine=trained.refine, impose=trained.impose, tile=tile)
    return RunNetwork(model, trained.guide, predictor)


class TrainedNetwork(NamedTuple):
    """The network of a run with its weights, in evaluation mode on the CPU, and how the run uses it.

    ``guide`` is the key of what it reads beside the image; ``settings`` are the run's.
    """

    model: MattingModel
    guide: str
    refine: bool
    impose: bool
    settings: DictConfig


def trained_network(run: Path, checkpoint: str = "best", guide: str | None = None) -> TrainedNetwork:
    """Return the network of a run and its settings; for the arguments and errors see `network_of_run`."""
    from_config.quieten()
    file = shipped_file(run)
    found = _network(run, checkpoint) if file is None else _shipped_network(file, checkpoint)
    model, refine, impose, settings = found
    reads = [guide] if guide else [key for key in model.reads if key in GUIDES]
    if len(reads) != 1 or set(model.reads) - {"guide"} != {"image", *reads}:
        raise _other_guide(run, model, guide or "trimap")
    return TrainedNetwork(model.eval(), reads[0], refine, impose and reads == ["trimap"], settings)


def _network(run: Path, checkpoint: str) -> tuple[MattingModel, bool, bool, DictConfig]:
    """Return the network of a run, whether it refines, whether zones are imposed, and the run's settings."""
    directory = RunDir(run)
    settings = directory.config("model")
    model, weights, source = model_of_run(directory, settings, checkpoint)
    load_weights(model, weights, source)
    return model, bool(weights["deepmatte"]["refine"]), bool(settings.get("impose_trimap", True)), settings


def _shipped_network(file: Path, checkpoint: str) -> tuple[MattingModel, bool, bool, DictConfig]:
    """Return the same of weights that come with the package."""
    if checkpoint != "best":
        raise InputError(
            f"{file.stem}: has no checkpoints to choose from; leave out --checkpoint {checkpoint}"
        )
    kept = read_shipped(file)
    settings = OmegaConf.create({"model": kept.model, "impose_trimap": kept.impose})
    model: MattingModel = build(settings.model, "model")
    state = {f"{OWN_PREFIX}{key}": value for key, value in kept.state.items()}
    load_weights(model, {"state_dict": state}, file.stem)
    return model, kept.refine, kept.impose, settings


def _other_guide(run: Path, model: MattingModel, given: str) -> InputError:
    wanted = [key for key in model.reads if key not in ("image", "guide")]
    known = [GUIDES[key] for key in wanted if key in GUIDES]
    if len(known) != len(wanted) or len(wanted) > 1:
        cure = "give a run of a model that reads only the image and one of them"
    elif not wanted:
        cure = "give a run of a model that reads one"
    else:
        cure = f"give {known[0]} in place of {GUIDES[given]}"
    reads = f"also reads {', '.join(wanted)}" if wanted else "reads the image alone"
    return InputError(f"{run}: its model {reads}, which {GUIDES[given]} does not fit; {cure}")


def network_predictor(model: MattingModel, refine: bool, impose: bool, tile: int = 0) -> Predictor:
    """Return the function that mattes one image by ``model``, on the model's device.

    Args:
        model: reads image and a guide.
        refine: whether its refinement stage is used.
        impose: whether known zones of a trimap are imposed; tiles without unknown pixels then cost nothing.
        tile: 0 for the whole image at once, or the side of square tiles, a multiple of 128 pixels, that
            overlap by a quarter. A tile hides its surroundings from the network: make it as large as the
            memory allows.
    """
    (key,) = set(model.reads) - {"image", "guide"}
    impose = impose and key == "trimap"
    solver = TiledModel(model, tile, skip_known=impose) if tile else model

    @torch.inference_mode()
    def predict(image: np.ndarray, guide: np.ndarray) -> Prediction:
        device = next(model.parameters()).device
        batch = {"image": _batched(image, device), key: _batched(guide, device)}
        matte = solver(with_guide(cast(Batch, batch), model), refine=refine)
        alpha = impose_trimap(matte.alpha.float(), batch[key]) if impose else matte.alpha.float()
        colours = None if matte.foreground is None else matte.foreground.float()[0].permute(1, 2, 0)
        return Prediction(alpha[0, 0].cpu().numpy(), None if colours is None else colours.cpu().numpy())

    return predict


def _batched(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Return colours (H, W, 3) as (1, 3, H, W) in [0, 1], and a trimap (H, W) as it is, (1, 1, H, W)."""
    values = torch.from_numpy(np.require(pixels, requirements="W")).to(device)  # torch warns of others
    if values.ndim == 2:
        return values[None, None]
    colours = values.permute(2, 0, 1)[None].float()
    return colours if values.is_floating_point() else colours / 255
