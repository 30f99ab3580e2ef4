"""Scores on scenes of several objects: every network and method mattes each object by its own trimap."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepmatte.classical import MattingWarning
from deepmatte.compare.records.grouping import group_settings
from deepmatte.compare.records.reading import Run
from deepmatte.config.build import build
from deepmatte.config.compose import compose
from deepmatte.data import CompositionSource, write_png
from deepmatte.data.composing.trimaps import TrimapRecipe
from deepmatte.errors import InputError
from deepmatte.files import read_json, write_text
from deepmatte.metrics.functional.instances import score_scene
from deepmatte.metrics.names import higher_is_better
from deepmatte.ops.layers import class_map, instance_map
from deepmatte.ops.zones import impose_trimap
from deepmatte.runs.directory import RunDir
from deepmatte.scoring.photographs.predictors import predictor_of_run
from deepmatte.studies.instances import InstanceScenes, Scene, digest
from deepmatte.studies.study import Study
from deepmatte.training.building.from_config import build_data

TRUTH, MERGED = "truth", "truth by class"
"""Names of the true label maps: by object, and with all objects of a class merged into one."""

SHOWN = 3
"""How many scenes' label maps are kept for the page's figure."""

Alphas = Callable[[Scene], np.ndarray]


@dataclass(frozen=True)
class Contender:
    """A network or method that mattes the scenes, or the truth.

    Attributes:
        label: its name on the page.
        identity: changes when its mattes would.
        prepare: returns the function from scene to alphas.
        kind: truth, network or method.
    """

    label: str
    identity: str
    prepare: Callable[[], Alphas]
    kind: str = "truth"


def score_scenes(study: Study, runs: Sequence[Run]) -> list[Path]:
    """Score the best run of each setting and the study's methods on its scenes; return their folders.

    The best run is the one with the best validation score in the study's metric. Each folder gets
    ``scenes.json`` and the label maps of the first scenes; what has been scored is not scored again.

    Raises:
        InputError: the data has no foregrounds to compose scenes of, or an option is unknown.
    """
    options = {"count": 8, "size": 320, "instances": 3, "seed": 0, "methods": []} | study.options["scenes"]
    methods = options.pop("methods")
    scenes = make_scenes(runs[0], **options)
    home = study.sweep / "scenes" / digest(scenes)
    settings = group_settings(runs)
    best = [best_of(item.runs, str(study.options["metric"])) for item in settings]
    names = [item.name for item in settings]
    contenders = [
        Contender(TRUTH, "", lambda: lambda scene: scene.alphas),
        Contender(MERGED, "", lambda: merged),
    ]
    contenders += [_network(name, run) for name, run in zip(names, best, strict=True)]
    contenders += [_method(words) for words in methods]
    folders = []
    for number, contender in enumerate(contenders, 1):
        folder = home / re.sub(r"[^\w=.-]+", "_", contender.label)
        if (read_scores(folder) or {}).get("identity") != contender.identity:
            print(f"scenes    {contender.label} ({number} of {len(contenders)})", flush=True)
            _score(contender, scenes, folder)
        folders.append(folder)
    return folders


def best_of(runs: Sequence[Run], metric: str) -> Run:
    """Return the run with the best validation score."""
    sign = -1 if higher_is_better(metric) else 1
    return min(runs, key=lambda run: sign * run.result["scores"][f"val/{metric}"])


def make_scenes(run: Run, count: int, size: int, instances: int, seed: int) -> list[Scene]:
    """Return scenes of the test foregrounds of ``run``, with trimaps as wide as its own."""
    data = build_data(RunDir(run.path).config("data", "composition"))
    if not isinstance(data.source, CompositionSource):
        raise InputError(
            f"study.scenes: data={data.source.name} has images, but no foregrounds to compose scenes of; "
            "set it to null"
        )
    recipe = data.composition.scored_trimap
    kind = "kernels" if recipe.kind == "given" else recipe.kind
    layers = data.source.foregrounds("test"), data.source.backgrounds("test")
    source = InstanceScenes(*layers, TrimapRecipe(kind, recipe.erode, recipe.dilate), size, instances, seed)
    return [source.scene(index) for index in range(count)]


def merged(scene: Scene) -> np.ndarray:
    """Return the true alphas as semantic segmentation sees them: a class is its largest object."""
    result = np.zeros_like(scene.alphas)
    for kind in set(scene.kinds):
        members = [number for number, other in enumerate(scene.kinds) if other == kind]
        result[max(members, key=lambda number: scene.alphas[number].sum())] = scene.alphas[members].sum(0)
    return result


def read_scores(folder: Path) -> dict[str, Any] | None:
    """Return ``scenes.json`` of a folder, None where it is missing or damaged."""
    try:
        return read_json(folder / "scenes.json")
    except (OSError, ValueError):
        return None


def _network(name: str, run: Run) -> Contender:
    identity = json.dumps([run.result.get("config_hash"), run.result["scores"]], sort_keys=True)

    def prepare() -> Alphas:
        predictor = predictor_of_run(run.path)
        return _each(lambda image, trimap: predictor(image, trimap).alpha)

    return Contender(
        name,
        hashlib.sha256(identity.encode()).hexdigest()[:16],
        prepare,
        "network",
    )


def _method(words: str) -> Contender:
    method = build(compose("evaluate", words.split()).method, "method")

    def prepare() -> Alphas:
        method.prepare()
        return _each(lambda image, trimap: method(image / 255.0, trimap))

    return Contender(method.label, method.label, prepare, "method")


def _each(matte: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Alphas:
    """Return the function that mattes each object of a scene by its own trimap, with known zones imposed."""

    def alphas(scene: Scene) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MattingWarning)
            return np.stack(
                [impose_trimap(np.asarray(matte(scene.image, trimap)), trimap) for trimap in scene.trimaps]
            )

    return alphas


def _score(contender: Contender, scenes: Sequence[Scene], folder: Path) -> None:
    """Matte all scenes by one contender and write its scores and label maps."""
    kinds = sorted({kind for scene in scenes for kind in scene.kinds})
    predict = contender.prepare()
    confusion, rows = np.zeros((len(kinds) + 1,) * 2, np.int64), []
    objects = strayed = 0
    for number, scene in enumerate(scenes):
        classes = [kinds.index(kind) + 1 for kind in scene.kinds]
        predicted = predict(scene)
        scores = score_scene(predicted, scene.alphas, scene.trimaps, classes, len(kinds))
        confusion, objects, strayed = (
            confusion + scores.confusion,
            objects + scores.objects,
            strayed + scores.strayed,
        )
        for name, kind, iou, sad in zip(scene.names, scene.kinds, scores.iou, scores.sad, strict=True):
            rows.append(
                {
                    "scene": number,
                    "object": name,
                    "kind": kind,
                    "iou": None if np.isnan(iou) else float(iou),
                    "sad": float(sad),
                }
            )
        if number < SHOWN:
            maps = {"instances": instance_map(predicted), "classes": class_map(predicted, classes)}
            for part, picture in maps.items():
                write_png(folder / f"{number}_{part}.png", picture.astype(np.uint8))
            if contender.label == TRUTH:
                write_png(folder / f"{number}_image.png", scene.image)
    record = {
        "label": contender.label,
        "identity": contender.identity,
        "kind": contender.kind,
        "kinds": kinds,
        "confusion": confusion.tolist(),
        "objects": objects,
        "strayed": strayed,
        "rows": rows,
    }
    write_text(folder / "scenes.json", json.dumps(record, indent=1) + "\n")
