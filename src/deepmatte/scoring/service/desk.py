"""The queue: how many requests may be here at once, and which process takes the next."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

from deepmatte.scoring.service.limits import Limits, RefusedError
from deepmatte.scoring.service.messages import Answer, Order


class Answering(Protocol):
    """What answers orders, one at a time: a `deepmatte.scoring.service.worker.Worker`."""

    restarts: int

    @property
    def pid(self) -> int | None:
        """Of its process."""

    def answer(self, order: Order) -> Answer:
        """Return the answer; blocks."""

    def close(self) -> None:
        """End it."""


class Desk:
    """Hands requests to workers. A place is taken before a request's body is read, which bounds the memory.

    Attributes:
        num_here: requests that have a place.
        num_working: those that a worker has.
        seconds: spent by workers, by method.
        answered: requests that workers have answered, by method.
    """

    def __init__(self, workers: Sequence[Answering], limits: Limits) -> None:
        self.workers, self.limits = tuple(workers), limits
        self.num_here = self.num_working = 0
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.answered: Counter[str] = Counter()
        self._idle: asyncio.Queue[Answering] = asyncio.Queue()
        for worker in workers:
            self._idle.put_nowait(worker)
        self._threads = ThreadPoolExecutor(len(workers))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for a request.

        Raises:
            RefusedError: 429, all are taken.
        """
        if self.num_here >= len(self.workers) + self.limits.waiting:
            raise RefusedError(429, f"{self.num_here} requests are here already; try again in a few seconds")
        self.num_here += 1
        try:
            yield
        finally:
            self.num_here -= 1

    async def answer(self, order: Order, is_gone: Callable[[], Awaitable[bool]]) -> Answer:
        """Return a worker's answer, once one is idle; it stays busy though whoever asked be gone by then.

        Args:
            order: the request.
            is_gone: whether nobody waits for the answer any more; asked before the work begins.

        Raises:
            RefusedError: 499, nobody waits.
        """
        worker = await self._idle.get()
        try:
            if await is_gone():
                raise RefusedError(499, "nobody waits for the answer any more")
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, worker.answer, order)
        except BaseException:
            self._idle.put_nowait(worker)
            raise
        begun = perf_counter()
        self.num_working += 1
        future.add_done_callback(lambda _: self._freed(worker))
        answer = await asyncio.shield(future)
        self.seconds[order.method] += perf_counter() - begun
        self.answered[order.method] += 1
        return answer

    def _freed(self, worker: Answering) -> None:
        self.num_working -= 1
        self._idle.put_nowait(worker)

    def close(self) -> None:
        """End the workers and what waits for them."""
        for worker in self.workers:
            worker.close()
        self._threads.shutdown(wait=False)
