"""What the server counts, in the text format of Prometheus."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from deepmatte.scoring.service.desk import Desk

_KINDS = {
    "deepmatte_requests_total": ("counter", "Requests for a matte, by the status of the answer"),
    "deepmatte_matting_seconds_total": ("counter", "Time that processes took for answers, by method"),
    "deepmatte_matted_total": ("counter", "Requests that processes have answered, by method"),
    "deepmatte_restarts_total": ("counter", "Processes that were lost or took too long"),
    "deepmatte_waiting": ("gauge", "Requests that are read or wait for a process"),
    "deepmatte_working": ("gauge", "Requests that a process works on"),
    "deepmatte_resident_bytes": ("gauge", "Memory of the server and of its processes"),
}


def text(statuses: Counter[int], desk: Desk) -> str:
    """Return the page of ``/metrics``."""
    values: dict[str, Mapping[str, float]] = {
        "deepmatte_requests_total": {f'status="{code}"': num for code, num in sorted(statuses.items())},
        "deepmatte_matting_seconds_total": {f'method="{_quoted(n)}"': t for n, t in desk.seconds.items()},
        "deepmatte_matted_total": {f'method="{_quoted(n)}"': num for n, num in desk.answered.items()},
        "deepmatte_restarts_total": {"": sum(worker.restarts for worker in desk.workers)},
        "deepmatte_waiting": {"": desk.num_here - desk.num_working},
        "deepmatte_working": {"": desk.num_working},
        "deepmatte_resident_bytes": _memory(desk),
    }
    return "\n".join(line for name, rows in values.items() for line in _lines(name, rows)) + "\n"


def _lines(name: str, rows: Mapping[str, float]) -> Iterator[str]:
    kind, about = _KINDS[name]
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, value in rows.items():
        yield f"{name}{{{labels}}} {value:.12g}" if labels else f"{name} {value:.12g}"


def _quoted(name: str) -> str:
    r"""Return a label's value as the format wants it.

    >>> print(_quoted('a"b'))
    a\"b
    """
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _memory(desk: Desk) -> dict[str, float]:
    """Return the resident memory in bytes of each process; nothing of those that are gone."""
    pids = {"server": os.getpid(), **{f"matting {i}": worker.pid for i, worker in enumerate(desk.workers)}}
    found = {}
    for name, pid in pids.items():
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):  # it ends just now, or this is no Linux
            continue
        found[f'process="{name}"'] = float(pages * os.sysconf("SC_PAGESIZE"))
    return found
