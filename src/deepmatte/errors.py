"""The one error that a user's input can cause, and the word that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave can't be used: a file, a folder, a configuration key or a checkpoint.

    The message is one line that names the file or key, says what is wrong with it and what to do. The
    commands print it without a traceback and exit with status 2; everything else that is raised is a defect
    of deepmatte.
    """


def one_line(error: object) -> str:
    r"""Return what an error says in one line; of one that was raised in a loader's process, its own words alone.

    >>> one_line("Caught InputError in DataLoader worker process 0.\nOriginal Traceback (…):\ndeepmatte.errors.InputError: a.png: damaged")
    'a.png: damaged'
    """
    text = str(error)
    if "Original Traceback" in text:
        text = text.rpartition("errors.InputError: ")[2]
    return " ".join(text.split())


class RunError(RuntimeError):
    """A run can't go on, through no fault of its input's form: the loss is not finite, a process died, time ran out.

    Printed like an `InputError`, in one line; the run's ``result.json`` says ``failed`` and repeats the line.
    """


def did_you_mean(word: str, choices: Iterable[str], form: str = "{}") -> str:
    """Return ``; did you mean `CHOICE`?`` for the choice that is spelt most like ``word``; nothing where none is.

    >>> did_you_mean("trian", ["train", "predict"])
    '; did you mean `train`?'
    >>> did_you_mean("logger", ["loss", "seed"])
    ''
    """
    close = difflib.get_close_matches(word, sorted(choices), n=1)
    return f"; did you mean `{form.format(close[0])}`?" if close else ""
