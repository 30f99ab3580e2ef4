"""Disks that are full, read-only or gone: one line, nothing half-written, the same command resumes."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from disks import fill, read_only, small_disk
from tiny_run import compose

from deepmatte.cli.main import call
from deepmatte.errors import InputError, RunError
from deepmatte.training.checkpoints.files import AtomicCheckpointIO, newest_checkpoint, read_checkpoint
from deepmatte.training.module import MattingModule
from deepmatte.training.tracking.curves import Curves

TWO_EPOCHS = ("stages.encoder_decoder.epochs=2",)


@pytest.fixture(scope="module")
def whole(train_tiny: Callable[..., dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs that nothing has disturbed."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    train_tiny(directory, *TWO_EPOCHS)
    return directory


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same_end(run: Path, whole: Path) -> None:
    one, other = weights(run), weights(whole)
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert (run / "per_image.csv").read_text() == (whole / "per_image.csv").read_text()
    assert litter(run) == []


def litter(folder: Path) -> list[str]:
    return sorted(
        file.name for file in folder.rglob(".*") if file.is_file() and file.name not in (".lock", ".hydra")
    )


def disturbed(patch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Do it once, at the beginning of the second epoch."""
    original, done = MattingModule.training_step, []

    def step(module, samples, batch_idx):
        if module.current_epoch == 1 and not done:
            done.append(deed())
        return original(module, samples, batch_idx)

    patch.setattr(MattingModule, "training_step", step)


def test_a_full_disk_ends_the_run_in_one_line_and_the_same_command_resumes(
    train_tiny, whole: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "64m") as disk:
        run = disk / "run"
        with pytest.MonkeyPatch.context() as patch:
            disturbed(patch, lambda: fill(disk))
            with pytest.raises(
                InputError,
                match=r"^[^\n]*/run/[^\n]*: can't be written \(No space left on device\); make room and rep",
            ):
                train_tiny(run, *TWO_EPOCHS)
        assert read_checkpoint(run / "checkpoints" / "last.ckpt")["deepmatte"]["epochs_done"] == 1
        assert litter(run) == []
        (disk / "ballast").unlink()
        train_tiny(run, *TWO_EPOCHS)
        assert_same_end(run, whole)


@pytest.mark.parametrize(
    "length",
    [pytest.param(0, marks=pytest.mark.slow), 1000, pytest.param(-100, marks=pytest.mark.slow)],
)
def test_a_damaged_last_checkpoint_is_named_and_the_one_before_is_taken(
    train_tiny, whole: Path, tmp_path: Path, capsys, length: int
) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        disturbed(patch, lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train_tiny(run, *TWO_EPOCHS)
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:length])
    capsys.readouterr()
    train_tiny(run, *TWO_EPOCHS)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "last.ckpt" in line]
    assert "last.ckpt: not a readable checkpoint (" in line
    assert line.endswith("; resuming from best.ckpt (encoder_decoder, 1 epochs done)")
    assert_same_end(run, whole)


def test_without_an_earlier_checkpoint_the_line_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(
        InputError, match=r"^[^\n]*last\.ckpt: not a readable[^\n]*no earlier one; force=true retrains"
    ):
        newest_checkpoint(tmp_path, mend=True)


def test_a_checkpoint_does_not_go_through_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    (tmp_path / "run").mkdir()
    with small_disk(tmp_path / "tmp", "16k") as temporary:
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        AtomicCheckpointIO().save_checkpoint({"x": torch.zeros(100_000)}, path)
    assert torch.load(path, weights_only=True)["x"].shape == (100_000,)


def test_a_checkpoint_that_has_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "600k") as disk:
        path = disk / "checkpoints" / "last.ckpt"
        AtomicCheckpointIO().save_checkpoint({"x": torch.zeros(100_000)}, path)
        with pytest.raises(InputError, match=r"last\.ckpt: can't be written \(No space left on device\)"):
            AtomicCheckpointIO().save_checkpoint({"x": torch.ones(100_000)}, path)
        assert torch.load(path, weights_only=True)["x"].sum() == 0
        assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
    gc.collect()  # Python before 3.12.3 crashed here


@pytest.mark.parametrize(
    "deed", [shutil.rmtree, lambda run: run.rename(run.with_name("elsewhere"))], ids=["removed", "moved"]
)
def test_a_run_directory_that_goes_while_it_trains_is_told_in_one_line_and_not_made_again(
    train_tiny, tmp_path: Path, deed
) -> None:
    run = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        disturbed(patch, lambda: deed(run))
        with pytest.raises(RunError, match=r"^[^\n]*/run: was removed or moved during the run; put it back"):
            train_tiny(run, *TWO_EPOCHS)
    assert not run.exists()


def test_rows_that_were_cut_off_are_left_out_of_the_curves(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss\r\n0,0,0.5\r\n0,1,0.4\r\n0,1")
    curves = Curves(tmp_path)
    curves.keep_until(2)
    assert (tmp_path / "metrics.csv").read_text().split() == ["epoch,step,train/loss", "0,0,0.5", "0,1,0.4"]


@pytest.mark.parametrize("content", [b"epoch,step\r\n0,\xff\r\n", b"epoch,step\r\n0,1\x00\r\n\x80"])
def test_curves_that_are_no_text_are_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"^[^\n]*metrics\.csv: not readable as CSV \([^\n]*; remove it"):
        Curves(tmp_path).keep_until(2)


def test_evaluate_in_a_run_directory_that_can_only_be_read_suggests_output(
    trained: Path, tmp_path: Path
) -> None:
    from deepmatte.scoring.evaluate import evaluate

    run = shutil.copytree(trained, tmp_path / "run")
    with (
        read_only(run),
        pytest.raises(
            InputError, match=r"^[^\n]*Read-only file system\); make room, or give output=DIR, a folder"
        ),
    ):
        evaluate(compose("evaluate", [f"run={run}"]))


@pytest.mark.parametrize("verb", ["sweep", "compare", "score"])
def test_verbs_say_in_one_line_that_a_folder_can_only_be_read(
    trained: Path, tmp_path: Path, capsys, verb: str
) -> None:
    from deepmatte.data import write_png

    run = shutil.copytree(trained, tmp_path / "run")
    (run / ".lock").unlink(missing_ok=True)
    result = (run / "result.json").read_text()
    (run / "result.json").write_text(result.replace('"finished"', '"failed"') if verb == "sweep" else result)
    write_png(run / "mattes" / "a.png", torch.arange(256, dtype=torch.uint8).reshape(16, 16).numpy())
    mattes = str(run / "mattes")
    words = {
        "sweep": ["repeat", str(run)],
        "compare": [str(run), "--out", str(run / "page")],
        "score": ["--pred", mattes, "--alpha", mattes, "--protocol", "whole", "--json", str(run / "s.json")],
    }
    with read_only(run):
        assert call(verb, words[verb]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("deepmatte: ")
    assert error.count("\n") == 0
    assert "can't be written (Read-only file system)" in error
    assert litter(run) == litter(trained)


@pytest.mark.parametrize("verb", ["train", pytest.param("evaluate", marks=pytest.mark.slow)])
def test_hydras_verbs_say_it_in_one_line_too(tmp_path: Path, verb: str) -> None:
    with read_only(tmp_path):
        words = ["method=trivial", "data=procedural", "output=there"] if verb == "evaluate" else []
        command = [sys.executable, "-m", f"deepmatte.cli.{verb}", *words]
        plain = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
        done = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("rendering")]  # a progress bar
    assert (done.returncode, len(lines)) == (2, 1), done.stderr
    assert "can't be written (Read-only file system)" in done.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.parametrize("is_taken", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiled_functions_do_without_a_cache_where_neither_package_nor_user_have_one(
    tmp_path: Path, is_taken: bool
) -> None:
    """As in a shared installation: numba may write its cache in neither of its two places."""
    ours = tmp_path / f"deepmatte-numba-{os.geteuid()}"
    if is_taken:  # as another user may have it
        ours.touch()
    code = (
        "import numba.core.caching as caching\n"
        "def refuse(self): raise PermissionError(13, 'Permission denied')\n"
        "for name, place in vars(caching).items():\n"  # numba before 0.61 has an underscore before the names
        "    if name.endswith(('InTreeCacheLocator', 'UserWideCacheLocator')):\n"
        "        place.ensure_cache_path = refuse\n"
        "import deepmatte.ops.components, deepmatte.data.composing.resize, numba\n"
        "from deepmatte.ops.compiled import njit\n"
        "print(numba.config.CACHE_DIR)\n"
        "numba.config.CACHE_DIR = ''\n"
        "print(njit(cache=True)(lambda x: x + 1)(1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    folder, result = done.stdout.split()
    assert (Path(folder).parent, Path(folder) == ours, result) == (tmp_path, not is_taken, "2")
    assert list(tmp_path.iterdir()) == [ours]


@pytest.mark.parametrize("missing", ["state_dict", "global_step", "epoch", "loops"])
def test_a_checkpoint_that_lacks_what_resuming_reads_is_named_in_one_line(
    trained: Path, tmp_path: Path, missing: str
) -> None:
    """As a stranger's may: its weights can be evaluated, but no run can resume from it."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    content = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    del content[missing]
    torch.save(content, folder / "last.ckpt")
    with pytest.raises(InputError, match=rf"^[^\n]*last\.ckpt: has no {missing}, so no run can resume"):
        newest_checkpoint(folder, mend=False)
