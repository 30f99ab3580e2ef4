"""`deepmatte sweep status` on a terminal of 24 x 80: it updates, fits, and ends in commands to be copied."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import threading

import pytest

pytestmark = pytest.mark.slow

STATUS = (
    "import time; time.sleep(0.5); from deepmatte.cli.sweep import main; "
    "raise SystemExit(main(['status', 'runs/s', '--every', '0.3']))"
)


def watch(stubbed) -> tuple[str, int]:
    """Watch the sweep of this folder until it is over; return what the terminal got, and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(stubbed.home)
        environment = {key: value for key, value in stubbed.environment.items() if key != "COLUMNS"}
        os.execve(sys.executable, [sys.executable, "-c", STATUS], environment | {"TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_table_is_renewed_fits_the_screen_and_ends_in_full(stubbed) -> None:
    """24 jobs, half of which fail, would take 77 lines; Ctrl-C stops the sweep while it is watched."""
    words = ("optimizer.lr=1e30,1e-3", f"seed={','.join(map(str, range(12)))}")
    process = stubbed.start(*words, STUB_STEPS="8", STUB_PAUSE="0.3")
    stubbed.wait_for(lambda: sum(record["status"] == "failed" for record in stubbed.records().values()) >= 2)
    stop = threading.Timer(8.0, process.send_signal, [signal.SIGINT])
    stop.start()
    shown, code = watch(stubbed)
    process.communicate(timeout=60)
    *frames, end = [
        re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame)
        for frame in re.split(r"(?:\x1b\[1A|\x1b\[2K|\r(?!\n))+", shown)
    ]
    frames = [frame for frame in frames if "more jobs" in frame]
    assert code == 1
    assert len(frames) >= 3
    assert len(set(frames)) >= 2
    assert all(frame.count("\n") < 24 for frame in frames)
    assert any(" running" in frame for frame in frames)
    assert end.count(" optimizer.lr=") >= 24
    assert f"deepmatte train -m wandb.mode=disabled name=s {' '.join(words)}" in end
    assert end.count("deepmatte sweep repeat runs/s/") >= 2
