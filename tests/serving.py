"""`deepmatte serve` as a process of its own, on a port that is free."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Server(NamedTuple):
    process: subprocess.Popen[str]
    port: int
    said: str

    def children(self) -> list[int]:
        """Return the processes that it has started."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in listed.split()]

    def stop(self, number: int = signal.SIGTERM, seconds: float = 600) -> tuple[int, str, str]:
        """Send a signal and return the exit code and what was printed since."""
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=seconds)
        return self.process.returncode, output, errors


@contextmanager
def serving(*words: str, cwd: Path | None = None, verb: str = "serve") -> Iterator[Server]:
    """Yield a server that answers; kill it at the end, if it still runs."""
    program = "from deepmatte.cli.main import main; main()"
    command = [sys.executable, "-c", program, verb, *words, "--port", "0"]
    environment = {**os.environ, "BROWSER": "true"}  # a browser that shows nothing
    if cwd is not None:
        environment["TMPDIR"] = str(cwd)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"at http://\S+:(\d+) ", said)
        assert found, said + (process.stderr.read() if process.stderr else "")
        yield Server(process, int(found[1]), said)
    finally:
        process.kill()
        process.communicate()
