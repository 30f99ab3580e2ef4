"""A server in this process, whose workers are threads: what HTTP, forms and the queue do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
import uvicorn

from deepmatte.scoring.service.app import make_app
from deepmatte.scoring.service.desk import Desk
from deepmatte.scoring.service.limits import Limits
from deepmatte.scoring.service.messages import Answer, Order
from deepmatte.scoring.service.server import bind

METHODS = ("trivial", "kmeans")
LIMITS = Limits(megabytes=0.3, megapixels=0.3, waiting=1, seconds=20)


class ThreadWorker:
    """Mattes in a thread of this process; where ``held`` is cleared, it waits with its next order."""

    restarts, pid = 0, None

    def __init__(self) -> None:
        self.held = threading.Event()
        self.held.set()

    def answer(self, order: Order) -> Answer:
        from deepmatte.scoring.service.matting import answer

        assert self.held.wait(20)
        return answer(order, {name: name for name in METHODS})

    def close(self) -> None:
        self.held.set()


class Running:
    """A server and its port."""

    def __init__(self, limits: Limits, only_here: bool = True) -> None:
        self.worker = ThreadWorker()
        socket = bind("127.0.0.1", 0)
        self.port = socket.getsockname()[1]
        app = make_app(Desk([self.worker], limits), METHODS, only_here)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [socket]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.005)

    def close(self) -> None:
        self.worker.close()
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    running = Running(LIMITS)
    yield running
    running.close()


@pytest.fixture
def server(shared: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setenv("DEEPMATTE_MAX_PIXELS", str(LIMITS.num_pixels))  # what a process of the server sets
    return shared


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def make(*words: object, **options: object) -> Running:
        started.append(Running(*words, **options))
        return started[-1]

    yield make
    for running in started:
        running.close()
