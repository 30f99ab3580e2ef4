"""Answer photographs by mattes over HTTP, with a page to try methods and runs on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from deepmatte.errors import InputError

NEEDED = ("fastapi", "uvicorn", "python_multipart")


def main(argv: list[str]) -> int:
    """Serve until Ctrl-C or SIGTERM and return 0; InputError names the option or run at fault."""
    return run(parser().parse_args(argv), lambda url: None)


def run(options: argparse.Namespace, when_ready: Callable[[str], None]) -> int:
    """Serve as the options say; ``when_ready`` gets the page's address."""
    for module in NEEDED:
        if find_spec(module) is None:
            raise InputError(f"{module}: is not installed; pip install 'deepmatte[serve]'")
    from deepmatte.scoring.service import server
    from deepmatte.scoring.service.limits import Limits

    runs = server.named_runs(options.run)
    limits = Limits(options.megabytes, options.megapixels, options.waiting, options.seconds)
    only_here = server.is_loopback(options.host)
    if not only_here:
        print(
            f"warning: whoever reaches {options.host} can use this server, without a password or encryption; "
            "put a proxy that has both before it",
            file=sys.stderr,
        )

    def announce(methods: Sequence[str]) -> None:
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listening.getsockname()[1]}"
        print(f"deepmatte serves {', '.join(methods)} at {url} (Ctrl-C stops it)", flush=True)
        when_ready(url)

    with server.bind(options.host, options.port) as listening:
        server.serve(runs, limits, listening, only_here, options.workers, announce)
    print("stopped", flush=True)
    return 0


def parser(verb: str = "serve") -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog=f"deepmatte {verb}",
        usage=f"deepmatte {verb} [RUN ...] [options]",
        description="Serve the networks of runs, and the classical methods. POST /matte takes a form with "
        "the field `image` and one of `trimap`, `mask`, `scribbles` (files) and `box` (X,Y,W,H), and answers "
        "a PNG file: `output` is alpha (default), cutout or trimap, made by `method`. GET / is a page to try "
        "it on; /health and /metrics (Prometheus) say how it is. Nothing is kept on disk.",
        epilog="curl -F image=@photo.jpg -F mask=@mask.png -F output=cutout -o cutout.png "
        "http://127.0.0.1:8000/matte",
    )
    add = result.add_argument
    add("run", nargs="*", type=Path, metavar="RUN", help="run directories, served under their names")
    add(
        "--host",
        default="127.0.0.1",
        metavar="H",
        help="where to listen (default: 127.0.0.1, only this machine)",
    )
    add(
        "--port", type=_port, default=8000, metavar="P", help="of the host; 0 is any free one (default: 8000)"
    )
    workers = "requests that are worked on at once, each in a process with all networks (default: 1)"
    add("--workers", type=_whole, default=1, metavar="N", help=workers)
    add("--megapixels", type=_number, default=4, metavar="N", help="of a picture, at most (default: 4)")
    add("--megabytes", type=_number, default=32, metavar="N", help="of a request, at most (default: 32)")
    add("--seconds", type=_number, default=120, metavar="N", help="of work, at most (default: 120)")
    waiting = "requests that may wait; the next is answered 429 (default: 8)"
    add("--waiting", type=_whole, default=8, metavar="N", help=waiting)
    return result


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port, a number up to 65535")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1 to 999")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return value
