"""Describe and verify data sets, preview training samples, compose benchmark images with a manifest."""

from __future__ import annotations

import argparse

from deepmatte.cli.data import compose, describe, preview, verify
from deepmatte.cli.data.options import composed_config
from deepmatte.cli.verbs import VERBS

__all__ = ["composed_config", "main", "parser"]


def main(argv: list[str]) -> int:
    """Run a sub-verb; return 0, or 1 if `verify` finds problems; InputError if the input can't be used."""
    verb = parser().parse_intermixed_args(argv[:1]).verb
    modules = {"describe": describe, "verify": verify, "preview": preview, "compose": compose}
    return modules[verb].main(argv[1:])


def parser() -> argparse.ArgumentParser:
    """Return the parser of the sub-verb."""
    result = argparse.ArgumentParser(
        prog="deepmatte data",
        description="Describe and verify data sets, preview training samples, compose benchmark images.",
        epilog="describe  counts and sizes by split, and a contact sheet\n"
        "verify    read every file and list every problem; or check composed images by their manifest\n"
        "preview   the very samples that training will see\n"
        "compose   the images of Composition-1k and the like, bit for bit as by their script\n\n"
        "`deepmatte data VERB --help` explains each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = VERBS["data"].words
    result.add_argument("verb", choices=words, metavar="VERB", help=", ".join(words))
    return result
