"""Open a page on which photographs are cut out: `deepmatte serve`, and a browser."""

from __future__ import annotations

import argparse
import threading
import webbrowser

from deepmatte.cli.photographs import serve


def main(argv: list[str]) -> int:
    """Serve the page, open it, and return 0 after Ctrl-C; InputError names the option or run at fault."""
    return serve.run(parser().parse_args(argv), open_page)


def open_page(url: str) -> None:
    """Open an address in the user's browser, without waiting for it."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options: those of `deepmatte serve`."""
    result = serve.parser("demo")
    result.description = (
        "Open a page in the browser on which photographs are cut out: by a trimap, a mask, strokes or a box "
        "drawn there, with classical methods and the networks of runs, two of them side by side. It is "
        "`deepmatte serve` with its page opened; photographs do not leave this machine."
    )
    result.epilog = None
    return result
