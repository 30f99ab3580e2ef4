"""Loading the estimator of foreground colours, with a word to whoever waits for it."""

from __future__ import annotations

import sys


def load_estimator() -> None:
    """Load it; the first call on a machine compiles it, which takes some ten seconds."""
    from rich.console import Console

    from deepmatte.ops.foreground import estimator

    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    with console.status("loading the colour estimator (compiled at the first call on this machine)"):
        estimator()
