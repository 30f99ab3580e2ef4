"""`deepmatte serve` as a process: runs, processes that are lost or too slow, signals, and what is left."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from asking import ask, bands, bomb, get, metric, png
from documented import ROOT, blocks, make_user_folder
from PIL import Image
from serving import serving
from skimage.data import astronaut

from deepmatte.cli.main import call

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
IMAGE, TRIMAP = bands(64, 48)
FIELDS = {"image": png(IMAGE), "trimap": png(TRIMAP)}
SLOW = {"image": png(astronaut().repeat(3, axis=0).repeat(3, axis=1)), "box": "24,12,1080,1520"}
"""Takes a minute or more."""
MIDDLE = {"image": png(astronaut()), "box": "8,4,360,508", "output": "trimap"}
"""Takes a second or two."""


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line in which a command line is refused."""
    assert call("serve", [*words]) == 2
    *warnings, line = capsys.readouterr().err.splitlines()
    assert all(warning.startswith("warning: ") for warning in warnings)
    return line


def test_a_port_in_use_an_unknown_host_and_runs_of_one_name_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--port {port}: is in use" in refusal(capsys, "--port", port)
    assert "--host no such host: there is no such address" in refusal(capsys, "--host", "no such host")
    for folder in ("one", "two"):
        (tmp_path / folder / "run").mkdir(parents=True)
    same = refusal(capsys, str(tmp_path / "one" / "run"), str(tmp_path / "two" / "run"))
    assert "has the same name as" in same


def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deepmatte.cli.photographs.serve.NEEDED", ("fastapi", "no_such_package"))
    assert "pip install 'deepmatte[serve]'" in refusal(capsys)


@pytest.mark.slow
def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("serve", [str(tmp_path), "--port", "0"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert str(tmp_path) in line


@pytest.mark.slow
def test_runs_and_methods_answer_as_they_do_in_python_and_nothing_is_left(
    trained: Path, tmp_path: Path
) -> None:
    from deepmatte import cutout, load, matte

    with serving(str(trained), cwd=tmp_path) as server:
        assert f"deepmatte serves {trained.name}, starter, fast_information_flow, trivial" in server.said
        network = load(trained)(IMAGE, TRIMAP)
        assert np.abs(ask(server.port, FIELDS).pixels / 255 - network).max() < 1 / 255
        alpha = matte(IMAGE, TRIMAP)
        colours = ask(server.port, {**FIELDS, "method": "fast_information_flow", "output": "cutout"}).pixels
        assert (colours == cutout(IMAGE, alpha)).all()
        assert (colours[TRIMAP == 255, :3] == IMAGE[TRIMAP == 255]).all(), (
            "where alpha is 1, the photograph's"
        )
        for hostile in (bomb(40_000, 40_000), b"%!PS", png(Image.new("CMYK", (9, 9)), "JPEG")):
            assert ask(server.port, {**FIELDS, "image": hostile}).line
        assert get(server.port, "/health").status == 200
        workers = server.children()
        assert server.stop()[:2] == (0, "stopped\n")
    assert list(tmp_path.iterdir()) == []
    assert ended(workers)


@pytest.mark.slow
def test_the_requests_of_the_page_are_answered(trained: Path, tmp_path: Path) -> None:
    """Those of docs/how-to/serve.md, word for word but for the port."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    make_user_folder(tmp_path, trained)
    lines = "\n".join(blocks(ROOT / "docs/how-to/serve.md", "bash")).splitlines()
    calls = [shlex.split(line) for line in lines if line.startswith("curl ")]
    with serving(str(tmp_path / "run")) as server:
        for words in calls:
            here = [word.replace(":8000", f":{server.port}") for word in words]
            subprocess.run([*here, "--silent", "--fail-with-body"], cwd=tmp_path, check=True)
    shapes = [np.asarray(Image.open(tmp_path / words[-1])).shape for words in calls]
    assert shapes == [(128, 128), (128, 128, 4), (128, 128)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_request_that_is_worked_on_end(number: int) -> None:
    with serving() as server, ThreadPoolExecutor(1) as threads:
        reply = threads.submit(ask, server.port, MIDDLE)
        while metric(server.port, "deepmatte_working") != 1:
            time.sleep(0.02)
        code, output, errors = server.stop(number)
        assert (code, output, errors) == (0, "stopped\n", "")
        assert reply.result().pixels.shape == (512, 512)


@pytest.mark.slow
def test_ctrl_c_twice_waits_for_nobody() -> None:
    with serving() as server, ThreadPoolExecutor(1) as threads:
        reply = threads.submit(ask, server.port, SLOW)
        while metric(server.port, "deepmatte_working") != 1:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert server.stop(signal.SIGINT)[0] == 0
        with pytest.raises((OSError, AssertionError)):
            assert reply.result().status == 200


@pytest.mark.slow
def test_what_takes_too_long_is_broken_off_and_the_next_request_is_answered() -> None:
    with serving("--seconds", "3") as server:
        assert ask(server.port, FIELDS).status == 200
        reply = ask(server.port, SLOW)
        assert (reply.status, "within the 3 s" in reply.line) == (503, True)
        assert metric(server.port, "deepmatte_restarts_total") == 1
        assert ask(server.port, FIELDS).status == 200


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced() -> None:
    with serving() as server, ThreadPoolExecutor(1) as threads:
        reply = threads.submit(ask, server.port, SLOW)
        while metric(server.port, "deepmatte_working") != 1:
            time.sleep(0.02)
        for pid in server.children():
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        assert (reply.result().status, "was lost" in reply.result().line) == (503, True)
        assert ask(server.port, FIELDS).status == 200


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_no_process() -> None:
    with serving() as server:
        workers = server.children()
        server.process.kill()
        server.process.wait()
        assert ended(workers)


def ended(processes: list[int]) -> bool:
    """Wait a while for processes to end, and return whether they have."""
    end = time.monotonic() + 60
    while running := [pid for pid in processes if _runs(pid)]:
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return not running


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
