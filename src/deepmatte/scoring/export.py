"""The network of a run in one file for other programs: ONNX, PyTorch's own export, or weights alone."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from deepmatte import __version__
from deepmatte.batch import Batch
from deepmatte.errors import InputError, RunError, did_you_mean, one_line
from deepmatte.files import printable, write_bytes
from deepmatte.models import MattingModel
from deepmatte.models.bgmv2.refiner import Refiner
from deepmatte.models.encoders.vit import Attention
from deepmatte.models.weights import write_weights
from deepmatte.ops.padding import reflection
from deepmatte.ops.zones import impose_trimap
from deepmatte.runs.directory import RunDir
from deepmatte.runs.identity import config_hash
from deepmatte.scoring.photographs.onnx_file import OnnxNetwork
from deepmatte.scoring.photographs.predictors import TrainedNetwork, trained_network

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
"""The formats, and how the names of their files end."""

OPSET = 18
"""Version of ONNX's operators, of 2022."""

TRACED = (2, 83, 101)
"""Number, height and width of the pictures with which a network is traced: no side is special to any."""

CHECKED = ((1, 64, 96), (2, 97, 131), (1, 150, 48))
"""Those on which the file is compared with the network."""


class SelfContained(nn.Module):
    """A network as a function of a picture and its guide, with all that a run does around it.

    It normalises, pads to the network's multiple, mattes, crops, and imposes the trimap's known zones.

    Args:
        network: the network and how its run uses it; it is prepared for export, in place.
    """

    def __init__(self, network: TrainedNetwork) -> None:
        super().__init__()
        self.model, self.guide, self.refine, self.impose = network[:4]
        self.model.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.model.memory_format = torch.contiguous_format
        for part in self.model.modules():
            if isinstance(part, Attention):
                part.fused = False
            elif isinstance(part, Refiner):
                part.mode = "full"  # which patches are selected would be the data's choice, not the graph's

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return ["alpha", *(["foreground"] if "foreground" in self.model.gives else [])]

    def forward(self, image: Tensor, guide: Tensor) -> tuple[Tensor, ...]:
        """Return alpha (N, 1, H, W) and, where the network gives them, the foreground's colours (N, 3, H, W).

        Args:
            image: colours (N, 3, H, W) in [0, 1].
            guide: the trimap, uint8 (N, 1, H, W) of 0, 128 and 255, or the plate's colours, as the image's.
        """
        height, width = image.shape[-2:]
        rows, columns = (reflection(side, self.model.multiple) for side in (height, width))
        inputs = self.model.unpadded_inputs(cast(Batch, {"image": image, self.guide: guide}))
        padded = {
            key: values.index_select(2, rows).index_select(3, columns) for key, values in inputs.items()
        }
        matte = self.model.predict(padded, self.refine).cropped(height, width)
        alpha = impose_trimap(matte.alpha, guide) if self.impose else matte.alpha
        return (alpha,) if matte.foreground is None else (alpha, matte.foreground)

    def pictures(self, num: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return random pictures and guides."""
        generator = torch.Generator().manual_seed(height)
        image = torch.rand(num, 3, height, width, generator=generator)
        if self.guide != "trimap":
            return image, torch.rand(num, 3, height, width, generator=generator)
        zones = torch.randint(0, 4, (num, 1, height, width), generator=generator)
        return image, torch.tensor([0, 128, 128, 255], dtype=torch.uint8)[zones]


def export_run(run: Path, to: str, out: Path | None = None, checkpoint: str = "best") -> list[str]:
    """Write the network of a run to a file; return lines that say what it is and how to use it.

    Args:
        run: a run directory.
        to: one of `SUFFIXES`.
        out: the file; None is the run's name in the current folder.
        checkpoint: best, last, or the path of a checkpoint.

    Raises:
        InputError: there is no such format, the run has no such checkpoint, the network reads other guides
            than one, an extra isn't installed, or the file can't be written.
        RunError: the network can't be traced.
    """
    if to not in SUFFIXES:
        meant = did_you_mean(to, SUFFIXES, "--to {}") or f"; choose one of {', '.join(SUFFIXES)}"
        raise InputError(f"--to {to}: there is no such format{meant}")
    out = out or Path(run.resolve().name + SUFFIXES[to])
    if out.suffix != SUFFIXES[to]:
        raise InputError(f"--out {printable(out)}: give a name that ends in {SUFFIXES[to]}")
    if to == "onnx":
        check_onnx()
    network = trained_network(run, checkpoint)
    of_run = {
        "config_hash": config_hash(network.settings),
        "checkpoint": checkpoint if checkpoint in ("best", "last") else Path(checkpoint).name,
    }
    if to == "safetensors":
        write_weights(out, network.model.state_dict(), {**_about(network), **of_run})
        use = " ".join(["deepmatte train", *_same_model(run), f"init={out}"])
        return [_first(network, out), f"train     {use}"]
    if "guide" in network.model.reads:
        text = "its network also reads mattes of classical methods, which no such file can solve"
        raise InputError(f"--to {to}: {text}; give --to safetensors")
    selects = network.refine and network.settings.model.get("refine_mode", "full") != "full"
    agrees = export_network(network, {to: out}, of_run)
    trimap = network.guide == "trimap"
    guide = "uint8 trimap [N, 1, H, W]" if trimap else f"{network.guide} [N, 3, H, W] in [0, 1]"
    lines = [
        _first(network, out),
        f"reads     image [N, 3, H, W] in [0, 1] and {guide}, for any N, H and W",
        f"agrees    with the network to {agrees[to]:.1e}, on random pictures of three sizes",
    ]
    if selects:
        lines.append("refines   every pixel, where the run refines chosen patches")
    if to == "onnx":
        option = "--trimap T" if trimap else "--captured PLATE"
        lines.append(f"predict   deepmatte predict PHOTO {option} --onnx {out}")
    return lines


def export_network(
    network: TrainedNetwork, files: Mapping[str, Path], about: Mapping[str, str]
) -> dict[str, float]:
    """Write a network as a graph, once traced in any of ``onnx`` and ``torch``; it is changed for that.

    Args:
        network: the network.
        files: by format.
        about: what the files say of themselves, besides what the network is.

    Returns:
        the largest difference from the network by format, on random pictures of three other sizes than the
        traced one.

    Raises:
        RunError: the network can't be traced.
    """
    whole = SelfContained(network).eval()
    program = _traced(whole)
    write = {"onnx": _write_onnx, "torch": _write_torch}
    about = {**_about(network), **about, "gives": ",".join(whole.outputs)}
    return {to: write[to](whole, program, out, about) for to, out in files.items()}


def _first(network: TrainedNetwork, out: Path) -> str:
    numbers = sum(values.numel() for values in network.model.state_dict().values())
    size = out.stat().st_size / 1e6
    return f"exported  {type(network.model).__name__} ({numbers:,} numbers) to {out}, {size:.1f} MB"


def check_onnx() -> None:
    """Refuse to write ONNX without what it takes.

    Raises:
        InputError: it says what to install.
    """
    if not all(map(find_spec, ("onnx", "onnxruntime", "onnxscript"))):
        raise InputError("--to onnx: needs the extra `onnx`: `pip install 'deepmatte[onnx]'`")


def _same_model(run: Path) -> list[str]:
    """Return the overrides of the run that choose its model."""
    return [word for word in RunDir(run).overrides() if word.startswith(("model=", "model."))]


def _about(network: TrainedNetwork) -> dict[str, str]:
    """Return what the file says of itself; all values are text, as the formats want it."""
    return {
        "deepmatte": __version__,
        "model": type(network.model).__name__,
        "settings": json.dumps(OmegaConf.to_container(network.settings.model)),
        "reads": f"image,{network.guide}",
        "multiple": str(network.model.multiple),
        "refine": str(network.refine).lower(),
        "impose_trimap": str(network.impose).lower(),
    }


def _traced(whole: SelfContained) -> ExportedProgram:
    """Return the network as a graph for all numbers and sizes of pictures."""
    from torch.fx.experimental import _config as symbols

    if type(whole.model).forward is not MattingModel.forward:
        raise _untraceable(whole.model, "it takes pictures in a way of its own")
    if not hasattr(symbols, "backed_size_oblivious"):
        raise InputError(f"--to: torch {torch.__version__} can't trace any size; install torch 2.13")
    sizes = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    # Without that setting, torch would hold what is true of the traced sizes for true of all.
    with _quiet(), symbols.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        try:
            program = torch.export.export(
                whole, whole.pictures(*TRACED), dynamic_shapes=(sizes, sizes), strict=False
            )
        except Exception as error:  # tracing raises anything, in pages
            raise _untraceable(whole.model, one_line(error)[:120]) from error
    # What was true of the traced pictures, such as how their strides are laid out, and is not of all.
    program._guards_code.clear()
    return program


def _untraceable(model: MattingModel, reason: str) -> RunError:
    return RunError(f"{type(model).__name__} can't be traced ({reason}); --to safetensors writes its weights")


def _write_onnx(whole: SelfContained, program: ExportedProgram, out: Path, about: Mapping[str, str]) -> float:
    """Write the graph as ONNX and return its largest difference from the network."""
    import onnx

    reads, gives = ["image", whole.guide], whole.outputs
    with _quiet():
        made = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, input_names=reads, output_names=gives, verbose=False
        )
    assert made is not None
    model = made.model_proto
    for value, key in zip([*model.graph.input, *model.graph.output], [*reads, *gives], strict=True):
        assert value.name == key
        for number, letter in ((0, "N"), (2, "H"), (3, "W")):
            value.type.tensor_type.shape.dim[number].dim_param = letter
    onnx.helper.set_model_props(model, dict(about))
    write_bytes(out, model.SerializeToString())
    network = OnnxNetwork(out)
    return _difference(whole, lambda *pictures: network.run(*(picture.numpy() for picture in pictures)))


def _write_torch(
    whole: SelfContained, program: ExportedProgram, out: Path, about: Mapping[str, str]
) -> float:
    """Write the graph for `torch.export.load`, and return its largest difference from the network."""
    buffer = BytesIO()
    more = {"deepmatte.json": json.dumps(dict(about))}
    with _quiet():
        torch.export.save(program, buffer, extra_files=more)
    with buffer.getbuffer() as data:
        write_bytes(out, data)
    return _difference(whole, program.module())


@torch.no_grad()
def _difference(whole: SelfContained, exported: Callable[..., Any]) -> float:
    """Return the largest difference of the outputs on random pictures of sizes that were not traced."""
    largest = 0.0
    for size in CHECKED:
        pictures = whole.pictures(*size)
        for found, true in zip(exported(*pictures), whole(*pictures), strict=True):
            largest = max(largest, float(np.abs(np.asarray(found) - true.numpy()).max()))
    return largest


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's remarks on its own exporters from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
