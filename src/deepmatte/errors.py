"""The one error that a user's input can cause."""

from __future__ import annotations


class InputError(ValueError):
    """What the user gave can't be used: a file, a folder, a configuration key or a checkpoint.

    The message is one line that names the file or key, says what is wrong with it and what to do. The commands print it
    without a traceback and exit with status 2; everything else that is raised is a defect of deepmatte.
    """


class RunError(RuntimeError):
    """A run can't go on, through no fault of its input's form: the loss is not finite, a process died, time ran out.

    Printed like an `InputError`, in one line; the run's ``result.json`` says ``failed`` and repeats the line.
    """
