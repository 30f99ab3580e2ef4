"""The atomic write: the old content or the new, nothing beside it, and one line where the disk refuses."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from disks import fill, read_only, small_disk

from deepmatte.data import write_png
from deepmatte.data.cache.arrays import ArrayFolder
from deepmatte.errors import InputError
from deepmatte.files import atomic, own_folder, refused, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(
    "raised", [KeyboardInterrupt, SystemExit, ZeroDivisionError, OSError(errno.EIO, "Input/output error")]
)
def test_failure_in_the_midst_leaves_the_old_content_and_no_litter(tmp_path: Path, raised) -> None:
    file = tmp_path / "result.json"
    write_text(file, "old")
    with pytest.raises(InputError if isinstance(raised, OSError) else raised), atomic(file) as written:  # noqa: PT012
        written.write(b"new, but only hal")
        written.flush()
        assert file.read_text() == "old"
        raise raised
    assert file.read_text() == "old"
    assert names(tmp_path) == ["result.json"]


def test_a_reader_sees_the_new_content_only_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "x.csv"
    with atomic(file) as written:
        written.write(b"one")
        assert not file.exists()
        written.seek(1)
        written.write(b"NE!")
    assert file.read_bytes() == b"oNE!"
    assert names(file.parent) == ["x.csv"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "written", "")
    assert stat.S_IMODE((tmp_path / "written").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_the_longest_name_that_a_file_can_have_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / ("x" * 255), "text")
    assert names(tmp_path) == ["x" * 255]


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    write_text(pipe, "through")
    assert reader.communicate(timeout=20)[0] == b"through"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_that_is_gone_is_not_made_again_where_it_must_not(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"^[^\n]*gone/x: can't be written \(No such file or directory\); its folder is gone"
    ):
        write_text(tmp_path / "gone" / "x", "", parents=False)
    assert names(tmp_path) == []


def test_a_full_disk_is_one_line_and_the_old_content_stays(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        write_text(disk / "x", "old")
        fill(disk, leave=8192)
        with pytest.raises(
            InputError,
            match=r"^[^\n]*disk/x: can't be written \(No space left on device\); make room and repeat",
        ):
            write_bytes(disk / "x", bytes(100_000))
        assert (disk / "x").read_text() == "old"
        assert names(disk) == ["ballast", "x"]


WRITERS = {
    "bytes": lambda folder: write_bytes(folder / "x", bytes(50_000)),
    "png": lambda folder: write_png(
        folder / "x.png", np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    ),
    "arrays": lambda folder: ArrayFolder(folder).write("x", {"alpha": np.zeros(50_000, np.uint8)}),
}


@pytest.mark.parametrize("what", WRITERS)
def test_every_writer_says_in_one_line_that_there_is_no_room_and_leaves_no_litter(
    tmp_path: Path, what: str
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
    try:
        with pytest.raises(
            InputError, match=r"^[^\n]*can't be written \(File too large\); (make room|free some space)"
        ):
            WRITERS[what](tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert names(tmp_path) == []
    WRITERS[what](tmp_path)
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("what", WRITERS)
def test_every_writer_says_in_one_line_that_a_file_system_is_read_only(tmp_path: Path, what: str) -> None:
    with (
        read_only(tmp_path),
        pytest.raises(InputError, match=r"^[^\n]*can't be written \(Read-only file system\); "),
    ):
        WRITERS[what](tmp_path)


def test_a_kill_leaves_the_old_content(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from deepmatte.files import atomic\n"
        "with atomic(sys.argv[1]) as file: file.write(b'new'); file.flush(); "
        "pathlib.Path(sys.argv[2]).touch(); time.sleep(60)"
    )
    file, begun = tmp_path / "x", tmp_path / "begun"
    file.write_text("old")
    process = subprocess.Popen([sys.executable, "-c", code, str(file), str(begun)])
    while not begun.exists() and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert file.read_text() == "old"


def test_only_what_a_disk_or_permissions_refuse_is_told_in_a_line() -> None:
    full = refused(OSError(errno.ENOSPC, "No space left on device", "/x/y"))
    assert str(full) == "/x/y: can't be written (No space left on device); make room and repeat the command"
    assert "the output: can't be written" in str(refused(OSError(errno.EROFS, "Read-only file system")))
    assert (
        refused(FileNotFoundError(errno.ENOENT, "No such file", "module.py")) is None
    )  # a defect, or told by its reader
    assert refused(BrokenPipeError(errno.EPIPE, "Broken pipe")) is None
    assert refused(ValueError("x")) is None


def test_a_folder_of_ones_own_is_none_that_others_made_or_can_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all, link, file = tmp_path / "open", tmp_path / "link", tmp_path / "file"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    link.symlink_to(tmp_path)
    file.touch()
    mine = tmp_path / "deep" / "mine"
    assert own_folder([open_to_all, link, file, file / "below", mine]) == mine
    assert stat.S_IMODE(mine.stat().st_mode) == 0o700
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert own_folder([mine]) is None


@pytest.mark.parametrize("end", ["", "raise KeyboardInterrupt", "raise ValueError"])
def test_a_temporary_folder_goes_with_the_process_that_made_it(tmp_path: Path, end: str) -> None:
    code = (
        "import os, sys\n"
        "from deepmatte.files import temporary_folder\n"
        "folder = temporary_folder()\n"
        "(folder / 'a').mkdir()\n"
        "if (fork := os.fork()) == 0: sys.exit()\n"
        "os.waitpid(fork, 0)\n"
        f"print(folder, folder.is_dir())\n{end}"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    folder, was_there = done.stdout.split()
    assert (Path(folder).parent, was_there) == (tmp_path, "True")
    assert not names(tmp_path)
