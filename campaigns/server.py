"""A server under load: 20 clients at once, some of them hostile, slow or gone before their answer.

Whatever comes, an answer is a picture of the right size, or a refusal in one line of JSON that fits the
request; those beyond the queue are answered 429, ``/health`` answers meanwhile, the memory of the server and
of the process that mattes stays flat, and SIGTERM ends both.
"""

from __future__ import annotations

import random
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from asking import Reply, ask, bands, bomb, form, get, head_of, png, raw
from serving import Server, serving

from campaigns.campaign import Tally, parser, rounds
from campaigns.killed_runs import FaultError

CLIENTS, METHODS = 20, ("closed_form", "kmeans", "grabcut", "trivial")
MORE_MB = {"server": 64.0, "matting 0": 128.0}
"""By how much the memory of a process may grow in the second half: caches of allocators, not requests."""

Act = Callable[[random.Random, int], Reply | None]
"""Asks a server, by its port, and returns its answer; None where none is waited for."""


def _pictures(rng: random.Random, width: int = 48, height: int = 32) -> dict[str, str | bytes]:
    image, trimap = bands(width, height)
    noise = np.random.default_rng(rng.randrange(2**32)).integers(0, 20, image.shape, np.uint8)
    return {"image": png(image + noise), "trimap": png(trimap)}


def honest(rng: random.Random, port: int) -> Reply:
    """Ask for a matte or cut-out."""
    output, method = rng.choice(("alpha", "cutout")), rng.choice(METHODS)
    width, height = rng.randrange(24, 400), rng.randrange(24, 400)
    reply = ask(port, {**_pictures(rng, width, height), "output": output, "method": method})
    if reply.status == 200 and reply.pixels.shape != (height, width, 4)[: 2 + (output == "cutout")]:
        raise FaultError(f"{reply.pixels.shape} of {width}x{height} pixels")
    return reply


def large(rng: random.Random, port: int) -> Reply:
    """Send some ten megabytes that are too many pixels."""
    return ask(port, {**_pictures(rng), "image": png(np.zeros((2000, 2000), np.uint8), "BMP")})


def hostile(rng: random.Random, port: int) -> Reply:
    """Send a picture or a field that is refused."""
    fields = _pictures(rng)
    spoilt = bytearray(fields["image"])  # type: ignore[arg-type]
    spoilt[rng.randrange(len(spoilt) // 2)] ^= 0xFF
    strange: list[dict[str, str | bytes]] = [
        {"image": bomb(40_000, 40_000)},
        {"trimap": bomb(65_535, 65_535)},
        {"image": bytes(spoilt)},
        {"image": "/etc/passwd"},
        {"trimap": png(np.full((3, 3), 128, np.uint8))},
        {"method": "../run"},
        {"width": "nan"},
        {"url": "http://127.0.0.1:9/"},
    ]
    return ask(port, {**fields, **rng.choice(strange)})


def malformed(rng: random.Random, port: int) -> Reply | None:
    """Send a form with spoilt bytes, or no HTTP at all."""
    body, kind = form(_pictures(rng))
    sent = bytearray(body)
    for _ in range(20):
        sent[rng.randrange(400)] = rng.randrange(256)
    head = rng.choice((head_of(kind, len(sent)), b"\xff" * 40 + b"\r\n\r\n"))
    answer = raw(port, head + bytes(sent), timeout=600)
    if b"\r\n\r\n" in answer and not answer.startswith(b"HTTP/1.1 "):
        raise FaultError(f"no HTTP: {answer[:80]!r}")
    return None


def gone(rng: random.Random, port: int) -> None:
    """Send half of a form, or a whole one, and do not wait for the answer."""
    body, kind = form(_pictures(rng))
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall(head_of(kind, len(body)) + body[: rng.choice((len(body), len(body) // 2))])
        time.sleep(rng.uniform(0, 0.3))


def health(rng: random.Random, port: int) -> Reply:
    """Ask how the server is."""
    begun = time.monotonic()
    reply = get(port, rng.choice(("/health", "/metrics", "/", "/page.js")))
    if time.monotonic() - begun > 10 or reply.status != 200:
        raise FaultError(f"/health answers {reply.status} after {time.monotonic() - begun:.0f} s")
    return reply


ACTS: dict[str, tuple[Act, set[int]]] = {
    "honest": (honest, {200, 429}),
    "large": (large, {413, 429}),
    "hostile": (hostile, {200, 413, 422, 429}),  # a spoilt byte may still be a picture
    "malformed": (malformed, set()),
    "gone": (gone, set()),
    "health": (health, {200}),
}
"""What a client does, and which answers there may be."""


def client(tally: Tally, lock: threading.Lock, port: int, seed: int, seconds: float) -> None:
    """Ask again and again for so long."""
    rng, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        name = rng.choices(list(ACTS), (6, 1, 3, 1, 1, 1))[0]
        act, fitting = ACTS[name]
        reply = None
        try:
            with suppress(ConnectionError):  # a server may hang up on who sends nonsense
                reply = act(rng, port)
            if fitting and (reply is None or reply.status not in fitting):
                raise FaultError(f"{name}: {reply and (reply.status, reply.body[:200])}")
            if reply is not None and reply.status >= 400:
                assert reply.line
        except (FaultError, AssertionError, OSError, ValueError) as fault:
            with lock:
                tally.fault(f"{name}: {type(fault).__name__}", f"{fault}\nclient {seed}")
        with lock:
            tally.tried[name] += 1
            tally.ended[str(reply.status) if reply else "not waited for"] += 1
        time.sleep(rng.uniform(0, 0.05))


def memory(port: int) -> dict[str, float]:
    """Return the resident megabytes of each process of a server."""
    rows = re.findall(r'resident_bytes\{process="([^"]+)"\} (\S+)', get(port, "/metrics").body.decode())
    return {name: float(value) / 2**20 for name, value in rows}


def load(tally: Tally, server: Server, seed: int, clients: int, seconds: float) -> dict[str, list[float]]:
    """Let clients ask a server, and return the memory of each process: before, half-way and after."""
    rng = random.Random(seed)
    for method in METHODS:  # what each imports and compiles is no growth
        ask(server.port, {**_pictures(rng, 400, 400), "method": method, "output": "cutout"})
    lock, found = threading.Lock(), [memory(server.port)]
    for half in range(2):
        with ThreadPoolExecutor(clients) as pool:
            seeds = [seed * 10_007 + half * 1009 + number for number in range(clients)]
            list(pool.map(lambda one: client(tally, lock, server.port, one, seconds / 2), seeds))
        found.append(memory(server.port))
    return {name: [one.get(name, 0.0) for one in found] for name in found[0]}


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options_of = parser("server", str(__doc__), 1, "rounds")
    options_of.add_argument("--seconds", type=float, default=60.0, help="of load a round (default: 60)")
    options_of.add_argument("--clients", type=int, default=CLIENTS, help=f"at once (default: {CLIENTS})")
    options = options_of.parse_args(argv)
    tally = Tally.of("server", "requests", options)
    for number, _ in rounds(options):
        with serving("--megapixels", "1") as server:
            grown = load(tally, server, options.seed + number, options.clients, options.seconds)
            for name, (before, half, after) in grown.items():
                print(f"  {name}: {before:.0f} MB before, {half:.0f} half-way, {after:.0f} after", flush=True)
                if after - half > MORE_MB[name]:
                    tally.fault(f"memory of {name}", f"{before:.0f}, {half:.0f}, {after:.0f} MB")
            code, _, errors = server.stop()
            if code or errors:
                tally.fault("the end", f"exit status {code}: {errors[-3000:]}")
    if options.clients >= CLIENTS and not tally.ended["429"]:
        tally.fault("no 429", "20 clients were never too many")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
