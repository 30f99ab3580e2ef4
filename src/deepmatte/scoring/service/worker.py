"""Processes that matte: one request at a time each, and another process where one is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from deepmatte.errors import InputError, RunError, one_line
from deepmatte.scoring.service.limits import Limits
from deepmatte.scoring.service.messages import Answer, Order

if TYPE_CHECKING:
    from deepmatte.scoring.photographs.notebook import Method

START_SECONDS = 300.0
"""In which a process has to have loaded its networks; the first on a machine compiles the estimator."""


class Worker:
    """A process that mattes, with the networks of ``runs`` by their names.

    `answer` blocks, so it is called in a thread, one call at a time. A process that takes longer than the
    limit, or that dies (of a lack of memory, say), is killed and started anew.
    """

    def __init__(self, runs: Mapping[str, Path], limits: Limits) -> None:
        self.runs, self.limits = dict(runs), limits
        self.restarts = 0
        self.methods: tuple[str, ...] = ()
        self._closed = self._is_ready = False
        self._start()

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until the process has loaded its networks; ``methods`` are then those that it knows.

        Raises:
            InputError: a run can't be used.
            RunError: the process was lost.
        """
        if self._is_ready:
            return
        try:
            said = self._pipe.recv() if self._pipe.poll(START_SECONDS) else "it takes too long"
        except (EOFError, OSError):
            said = "it died"
        if isinstance(said, InputError):
            raise said
        if isinstance(said, str):
            raise RunError(f"a process that mattes could not be started ({said}); see the lines above")
        self.methods, self._is_ready = said, True

    def answer(self, order: Order) -> Answer:
        """Return the answer of the process, or that there is none."""
        try:
            self.wait_until_ready()
            self._pipe.send(order)
            if self._pipe.poll(self.limits.seconds):
                return self._pipe.recv()
            line = (
                f"no matte within the {self.limits.seconds:.4g} s that this server takes; "
                "send a smaller picture, or choose a faster method"
            )
        except (EOFError, OSError):
            line = "the process that matted this was lost, perhaps for lack of memory; send a smaller picture"
        except (InputError, RunError) as error:
            line = one_line(error)
        if self._closed:
            return Answer(503, "the server is being stopped")
        self._process.kill()
        self._process.join()
        self._pipe.close()
        self.restarts += 1
        self._start()
        if self._closed:  # meanwhile, by another thread
            self._process.kill()
        return Answer(503, line)

    def close(self) -> None:
        """End the process; whoever waits for its answer is told so."""
        self._closed = True
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self.runs, self.limits.num_pixels)
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._is_ready = False


def _work(pipe: Connection, runs: Mapping[str, Path], num_pixels: int) -> None:
    """Answer orders until the other end is closed: the server says when it is over, not a signal."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        methods = _load(runs, num_pixels)
    except InputError as error:
        pipe.send(InputError(one_line(error)))
        return
    from deepmatte.scoring.service.matting import answer

    pipe.send(tuple(methods))
    while True:
        try:
            order = pipe.recv()
            pipe.send(answer(order, methods))
        except (EOFError, OSError):
            return


def _load(runs: Mapping[str, Path], num_pixels: int) -> dict[str, Method]:
    """Return runs, weights that come with the package, and classical methods by name.

    All is compiled that will be needed.

    Raises:
        InputError: a run can't be used, or has the name of a method.
    """
    from deepmatte.classical import METHODS, ClassicalMethod
    from deepmatte.data.sources.decoding import LIMIT, max_pixels
    from deepmatte.models.shipped import shipped
    from deepmatte.ops.foreground import estimator
    from deepmatte.scoring.photographs.notebook import DEFAULT, load

    os.environ[LIMIT] = str(min(num_pixels, max_pixels()))
    methods: dict[str, Method] = {}
    others = {name: file for name, file in shipped().items() if name not in runs}
    for name, run in {**runs, **others}.items():
        if name in METHODS:
            raise InputError(f"{run}: a method has this name, too; rename the directory")
        network = load(run)
        if network.guide != "trimap":
            raise InputError(f"{run}: its model reads {network.guide}; serve runs that read a trimap")
        methods[name] = network
    estimator()
    default = METHODS[DEFAULT]
    assert isinstance(default, ClassicalMethod)
    default.prepare()
    return methods | {name: name for name in METHODS}
