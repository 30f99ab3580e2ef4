"""The page of the commands: what ``--help`` prints of each verb and of the words below it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence

from deepmatte.cli.language import guidance
from deepmatte.cli.main import call
from deepmatte.cli.verbs import VERBS
from deepmatte.config.places import conf_dir


def page() -> str:
    """Return the page: the table of verbs, then the help of each."""
    lines = [
        "# Commands",
        "",
        "What `deepmatte VERB --help` prints. The words after `train` and `evaluate` are Hydra overrides, "
        "KEY=VALUE, whose keys are those of the [configuration](configuration/index.md).",
        "",
        "| verb | what it does |",
        "|---|---|",
        *(f"| [`{name}`](#{name}) | {verb.help} |" for name, verb in VERBS.items()),
        "",
    ]
    for name, verb in VERBS.items():
        lines += [f"## {name}", "", *_block(_help(name))]
        for word in verb.words:
            lines += [f"### {name} {word}", "", *_block(_help(name, word))]
    return "\n".join(lines)


def _block(text: str) -> list[str]:
    return ["```text", *text.rstrip().splitlines(), "```", ""]


def _help(verb: str, *words: str) -> str:
    """Return what ``deepmatte VERB WORD … --help`` prints on a terminal of 100 columns."""
    if VERBS[verb].hydra:
        return guidance.text(verb).replace(str(conf_dir()), "conf")
    return printed([verb, *words, "--help"])


def printed(arguments: Sequence[str]) -> str:
    """Return what a verb that is not Hydra's prints, without colours."""
    before = dict(os.environ)
    os.environ.update(COLUMNS="100", NO_COLOR="1")
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
            call(arguments[0], arguments[1:])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return output.getvalue()
