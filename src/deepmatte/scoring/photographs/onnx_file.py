"""Networks in ONNX files that `deepmatte export` has written, run by ONNX Runtime.

Nothing here imports torch.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from deepmatte.errors import InputError, one_line
from deepmatte.files import printable
from deepmatte.scoring.photographs.prediction import GUIDES, Prediction, Predictor


def has_onnxruntime() -> bool:
    """Return whether ONNX Runtime is installed."""
    return find_spec("onnxruntime") is not None


class OnnxNetwork:
    """A network in an ONNX file, on the CPU.

    Args:
        file: `deepmatte export` has written it.

    Raises:
        InputError: ONNX Runtime isn't installed, or the file is missing, damaged or anybody else's.
    """

    def __init__(self, file: Path) -> None:
        if not has_onnxruntime():
            raise InputError("--onnx: needs the extra `onnx`: `pip install 'deepmatte[onnx]'`")
        import onnxruntime

        if not file.is_file():
            raise InputError(
                f"--onnx {printable(file)}: there is no such file; `deepmatte export RUN` writes one"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is raised
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # a damaged file can raise anything
            reason = one_line(error)[:120]
            cure = "write it again by `deepmatte export RUN --to onnx`"
            raise InputError(f"--onnx {printable(file)}: not readable as ONNX ({reason}); {cure}") from None
        self.about: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        image, _, self.guide = self.about.get("reads", "").partition(",")
        names = [found.name for found in self._session.get_inputs()]
        if image != "image" or self.guide not in GUIDES or names != ["image", self.guide]:
            raise InputError(
                f"--onnx {printable(file)}: not a network that `deepmatte export RUN --to onnx` has written; "
                "give one"
            )

    def run(self, image: np.ndarray, guide: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for images (N, 3, H, W), float32 in [0, 1], and guides.

        Raises:
            RuntimeError: ONNX Runtime fails; of a lack of memory the message says so.
        """
        try:
            return self._session.run(None, {"image": image, self.guide: guide})
        except Exception as error:
            raise RuntimeError(one_line(error)) from error


def predictor_of_onnx(file: Path, guide: str = "trimap") -> Predictor:
    """Return the network of an ONNX file as a function of one photograph and its guide, a key of `GUIDES`.

    Raises:
        InputError: the file can't be used (`OnnxNetwork`), or its network reads another guide.
    """
    network = OnnxNetwork(file)
    if network.guide != guide:
        raise InputError(
            f"--onnx {printable(file)}: its network reads another guide; "
            f"give {GUIDES[network.guide]} in place of {GUIDES[guide]}"
        )

    def predict(image: np.ndarray, given: np.ndarray) -> Prediction:
        guides = given[None, None] if guide == "trimap" else _planes(given)
        alpha, *colours = network.run(_planes(image), np.ascontiguousarray(guides))
        return Prediction(alpha[0, 0], colours[0][0].transpose(1, 2, 0) if colours else None)

    return predict


def _planes(colours: np.ndarray) -> np.ndarray:
    """Return colours (H, W, 3), uint8 or floats in [0, 1], as float32 (1, 3, H, W) in [0, 1]."""
    scale = np.float32(255 if colours.dtype == np.uint8 else 1)
    return np.ascontiguousarray(colours.transpose(2, 0, 1)[None].astype(np.float32) / scale)
