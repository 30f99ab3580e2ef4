"""Classical methods scored as networks are: solved in the loader's processes, recorded by method."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import compose
from torch.utils.data import DataLoader

from deepmatte.batch import example_batch
from deepmatte.classical import GrabCut, KMeans, Trivial
from deepmatte.compare.comparison import compare
from deepmatte.data import MattingDataset, collate
from deepmatte.errors import InputError
from deepmatte.metrics import score_image
from deepmatte.ops.zones import impose_trimap
from deepmatte.scoring.baselines import NOTES, SOLVED, ClassicalMatting, SolvedDataset
from deepmatte.scoring.evaluate import evaluate
from deepmatte.training.building.from_config import build_data


class Examples(MattingDataset[int]):
    """Six soft discs; the fourth picture is of one colour."""

    def __init__(self) -> None:
        super().__init__("examples", "1", "test")
        self.batch = example_batch(num=6, size=24)
        self.batch["image"][3] = 0.25

    def __len__(self) -> int:
        return 6

    def make(self, key: int) -> dict:
        layers = {part: self.batch[part][key] for part in ("image", "trimap", "alpha")}
        return {**layers, "name": f"picture_{key}", "index": key}

    def identity(self) -> dict:
        return {}


def solved(num_workers: int) -> list[dict]:
    dataset = SolvedDataset(Examples(), KMeans(clusters=3))
    return list(DataLoader(dataset, batch_size=1, num_workers=num_workers, collate_fn=collate))


def test_several_processes_give_what_one_does_in_the_same_order() -> None:
    for one, two in zip(solved(0), solved(2), strict=True):
        assert one["index"].item() == two["index"].item()
        assert one[NOTES] == two[NOTES]
        assert torch.equal(one[SOLVED], two[SOLVED])
    assert [batch["name"][0] for batch in solved(2)] == [f"picture_{i}" for i in range(6)]


def test_the_model_takes_what_is_solved_and_solves_the_rest() -> None:
    model, plain = ClassicalMatting(KMeans(clusters=3)), ClassicalMatting(KMeans(clusters=3))
    for batch in solved(0):
        alpha = model(batch).alpha
        image, trimap = batch["image"][0].permute(1, 2, 0).double().numpy(), batch["trimap"][0, 0].numpy()
        if batch["index"] != 3:
            np.testing.assert_array_equal(
                alpha[0, 0].numpy(), KMeans(clusters=3)(image, trimap).astype(np.float32)
            )
        unsolved = {key: value for key, value in batch.items() if key not in (SOLVED, NOTES)}
        assert torch.equal(plain(unsolved).alpha, alpha)
    assert list(model.notes) == ["picture_3"]
    assert "nothing to cluster" in model.notes["picture_3"]
    assert plain.notes == model.notes


def test_the_digest_is_that_of_the_data_alone() -> None:
    assert SolvedDataset(Examples(), Trivial()).digest() == Examples().digest()


@pytest.fixture
def small_data(procedural_cache: Path) -> list[str]:
    source = [
        f"data.source.{key}"
        for key in ("size=96", "num_train=4", "num_val=3", "num_test=3", f"cache_dir={procedural_cache}")
    ]
    return ["data=procedural", *source, "num_pictures=1", "composition=dim", "data.num_workers=0"]


def test_a_method_leaves_the_records_of_a_network(
    small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = evaluate(compose("evaluate", ["method=kmeans", "method.clusters=3", *small_data]))
    free = evaluate(
        compose("evaluate", ["method=kmeans", "method.clusters=3", "method.trimap=false", *small_data])
    )
    homes = [
        tmp_path / "runs/evaluations" / name / "procedural_test"
        for name in ("kmeans_clusters=3", "kmeans_clusters=3_trimap-free")
    ]
    assert [(result["mode"], result["impose_trimap"]) for result in (given, free)] == [
        ("trimap given", True),
        ("trimap-free", False),
    ]
    rows = list(csv.DictReader((homes[1] / "per_image.csv").open()))
    assert len(rows) == 3
    assert np.mean([float(row["sad"]) for row in rows]) == pytest.approx(free["scores"]["test/sad"], rel=1e-5)
    assert len(list((homes[0] / "pictures" / "test").glob("*_matte.png"))) == 1
    names = {setting.name for setting in compare(homes).settings}
    assert names == {"method.trimap=default", "method.trimap=false"}


def test_a_method_takes_the_test_set_of_a_run(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = evaluate(compose("evaluate", ["method=trivial", f"like={trained}", "data.num_workers=0"]))
    record = json.loads((trained / "result.json").read_text())
    assert result["dataset"] == record["dataset"]
    assert result["scores"]["test/sad"] == record["scores"]["trivial/test/sad"]


def test_scores_are_those_of_the_method_called_by_hand(
    small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose("evaluate", ["method=grabcut", *small_data])
    result = evaluate(config)
    dataset, scores = build_data(config).eval_dataset("test"), []
    for index in range(3):
        sample = dataset[index]
        trimap = sample["trimap"][0].numpy()
        alpha = impose_trimap(GrabCut()(sample["image"].permute(1, 2, 0).double().numpy(), trimap), trimap)
        scores.append(score_image(alpha, sample["alpha"][0].numpy(), trimap, "adobe", ("sad",))["sad"])
    assert result["scores"]["test/sad"] == pytest.approx(np.mean(scores), rel=1e-5)


def test_options_of_a_method_that_cannot_be_are_refused_before_work(
    small_data: list[str], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"method=kmeans: method\.clusters=1 is invalid"):
        evaluate(compose("evaluate", ["method=kmeans", "method.clusters=1", *small_data]))
    with pytest.raises(InputError, match="needs data"):
        evaluate(compose("evaluate", ["method=kmeans"]))
    with pytest.raises(InputError, match="tile=128: methods solve whole pictures"):
        evaluate(compose("evaluate", ["method=kmeans", "tile=128", *small_data]))
    for wrong in ("100", "-128", "large"):
        with pytest.raises(InputError, match=f"tile={wrong}: .*(give 0, or a multiple of 128|whole number)"):
            evaluate(compose("evaluate", ["method=kmeans", f"tile={wrong}", *small_data]))
    assert not list(tmp_path.iterdir())
