"""`deepmatte data` as a user types it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepmatte.cli.data import composed_config, main
from deepmatte.cli.main import call
from deepmatte.errors import InputError

# Hydra composes in the folder of the caller: these words make a data set of a few small pictures.
SMALL = [
    "composition.crop_sizes=[24]",
    "composition.size=24",
    "composition.flip=0",
    "data.batch_size=4",
    "data.num_workers=0",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(12):
        for folder, pixels in (
            ("fg", rng.integers(0, 256, (30, 40, 3))),
            ("alpha", rng.integers(0, 256, (30, 40))),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / f"n{i}.png")
    (tmp_path / "bg").mkdir()
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(
            tmp_path / "bg" / f"place {i}.png"
        )
    return tmp_path


def words(root: Path) -> list[str]:
    return [
        "data=folder",
        f"data.root={root}",
        "data.source.val_fraction=0.25",
        "data.source.test_fraction=0.25",
        *SMALL,
    ]


def test_describe_prints_counts_and_draws_a_sheet(root, capsys):
    assert main(["describe", *words(root), "--out", str(root / "sheet.png"), "--num", "2"]) == 0
    printed = capsys.readouterr().out
    counts = [int(line.split("│")[3]) for line in printed.splitlines() if "foregrounds" in line]
    assert len(counts) == 3
    assert sum(counts) == 12
    assert "40x30" in printed
    with Image.open(root / "sheet.png") as sheet:
        assert min(sheet.size) > 400


def test_preview_draws_the_samples_that_training_sees(root, capsys):
    """The captions and pixels are those of the loader's own batches."""
    from deepmatte.data.inspection.sheet import contact_sheet, row_of_sample
    from deepmatte.training.building.from_config import build_data

    assert (
        main(["preview", *words(root), "seed=3", "--num", "8", "--epoch", "2", "--out", str(root / "p.png")])
        == 0
    )
    listed = capsys.readouterr().out.splitlines()[:8]
    data = build_data(composed_config([*words(root), "seed=3"]))
    loader = data.train_dataloader()
    loader.sampler.set_epoch(2)
    rows = []
    for batch, _ in zip(loader, range(2), strict=False):
        for i in range(4):
            sample = {key: batch[key][i] for key in ("image", "trimap", "alpha", "foreground")}
            rows.append(row_of_sample({**sample, "index": int(batch["index"][i]), "name": batch["name"][i]}))
    assert listed == [caption for caption, _ in rows]
    with Image.open(root / "p.png") as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), contact_sheet(rows))


@pytest.mark.slow
def test_preview_draws_what_a_run_gets(tiny, train_tiny, tmp_path, capsys):
    """The oracle is the training step itself: what it was given, in its order."""
    from deepmatte.data.inspection.sheet import contact_sheet, row_of_sample
    from deepmatte.training.module import MattingModule

    rows, original = [], MattingModule.training_step

    def step(module, batch, batch_idx):
        for i in range(4):
            sample = {key: batch[key][i] for key in ("image", "trimap", "alpha", "foreground")}
            rows.append(row_of_sample({**sample, "index": int(batch["index"][i]), "name": batch["name"][i]}))
        return original(module, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MattingModule, "training_step", step)
        train_tiny(tmp_path / "run", "seed=3", "stages.encoder_decoder.epochs=2")
    capsys.readouterr()
    for epoch in (0, 1):
        more = ["--num", "8", "--epoch", str(epoch), "--out", str(tmp_path / "p.png")]
        assert main(["preview", *tiny("seed=3"), *more]) == 0
        assert capsys.readouterr().out.splitlines()[:8] == [
            caption for caption, _ in rows[8 * epoch : 8 * epoch + 8]
        ]
        with Image.open(tmp_path / "p.png") as drawn:
            np.testing.assert_array_equal(np.asarray(drawn), contact_sheet(rows[8 * epoch : 8 * epoch + 8]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["describe", "dat=folder"], "dat"),
        (["verify", "data=folder"], "data.root"),
        (["preview", "data=folder", "data.root=/nowhere"], "/nowhere"),
        (["compose", "test", "--root", "/nowhere", "--out", "x"], "--background"),
        (["verify", "composition.size=large"], "composition.size=large: has to be a whole number"),
        (
            ["verify", "composition.crop_sizes=320"],
            "composition.crop_sizes=320: has to be a list (of a whole number)",
        ),
        (
            ["verify", "composition.foreground_jitter.hue=[1]"],
            "composition.foreground_jitter.hue=[1]: has to be a number",
        ),
        (["verify", "data=folder", "data.root=5"], "data.source.root=5: has to be a text"),
        (
            ["verify", "data=folder", "data.root=.", "data.source.foreground=[a,b]"],
            "data.source.foreground=['a', 'b']: has to be a text",
        ),
        (
            ["verify", "data=folder", "data.root=.", "data.source.test=fg"],
            "data.source.test=fg: has to be keys with values or val or null",
        ),
        (["verify", "data.cache=3"], "data.cache=3: has to be keys with values"),
        (["verify", "+data.cache.size=3"], "data.cache.size: there is no such key; the keys are dir, max_gb"),
        (
            ["verify", "+data.guides.corp=9"],
            "data.guides.corp: there is no such key; did you mean `data.guides.crop`",
        ),
        (["verify", "data.guides.max_gb=-1"], "data.guides.max_gb=-1: give a size in GB, 0 to keep nothing"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("data", arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["describe", "preview"])
def test_a_sheet_that_can_not_be_written_is_named_in_one_line(root, verb, capsys):
    (root / "file").write_text("no folder")
    assert call("data", [verb, *words(root), "--out", str(root / "file" / "sheet.png"), "--num", "1"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "file/sheet.png: can't be written (File exists)" in error


def test_options_may_stand_between_overrides(root):
    assert main(["verify", "data=folder", "--processes", "1", *words(root)[1:]]) == 0


def test_help_names_every_sub_verb_without_torch():
    code = "import sys\nfrom deepmatte.cli.data import main\n"
    code += "try: main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for verb in ("describe", "verify", "preview", "compose"):
        assert f"\n{verb} " in done.stdout


def test_a_source_without_a_skipping_key_is_verified_to_the_end(root, monkeypatch, capsys):
    (root / "data").mkdir()
    (root / "data" / "mine.yaml").write_text(
        f"source: {{_target_: deepmatte.data.FolderData, root: '{root}', name: mine}}\n"
    )
    for i in (1, 2):
        (root / "alpha" / f"n{i}.png").write_bytes(b"")
    monkeypatch.chdir(root)
    assert main(["verify", "data=mine", "--processes", "1", *SMALL]) == 1
    assert "2 problems" in capsys.readouterr().out
    with pytest.raises(InputError, match="empty"):
        main(["preview", "data=mine", *SMALL])
