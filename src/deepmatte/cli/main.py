"""`deepmatte VERB ...`: the verbs are the modules beside this one."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deepmatte import __version__
from deepmatte.config.compose import explained
from deepmatte.errors import InputError, RunError, did_you_mean, one_line
from deepmatte.files import refused

_HYDRA_VERBS = ("train", "evaluate")


def verbs() -> dict[str, str]:
    """Return the verbs with the first line of their modules' docstrings, read without importing them."""
    lines = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem not in ("__init__", "main"):
            lines[file.stem] = file.read_text(encoding="utf-8").split('"""')[1].splitlines()[0]
    return lines


def usage() -> str:
    """Return the text of `deepmatte --help`."""
    rows = [f"  {verb:<10} {line}" for verb, line in verbs().items()]
    return "\n".join(
        ["usage: deepmatte VERB ...", "", "verbs:", *rows, "", "`deepmatte VERB --help` explains a verb."]
    )


def main() -> None:
    """Run the verb that the command line names; bad input ends in one line and exit code 2."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is left to be flushed at the end goes nowhere
        code = 141
    except OSError as error:  # what was printed goes to a full disk
        if (told := refused(error)) is None:
            raise
        report(told)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 2
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"deepmatte {__version__}")
        return 0
    verb, *rest = arguments
    if verb not in verbs():
        meant = did_you_mean(verb, verbs())
        report(InputError(f"there is no verb '{verb}'{meant} (the verbs are {', '.join(verbs())})"))
        return 2
    if verb in _HYDRA_VERBS:
        # Lightning starts the other ranks by repeating the command line, so it must be one that Python can
        # repeat.
        os.execv(sys.executable, [sys.executable, "-m", f"deepmatte.cli.{verb}", *rest])
    return call(verb, rest)


def call(verb: str, arguments: Sequence[str]) -> int:
    """Run `deepmatte.cli.VERB.main(arguments)`, turning the user's errors into one line."""
    try:
        return importlib.import_module(f"deepmatte.cli.{verb}").main(list(arguments))
    except (InputError, RunError) as error:
        report(error)
        return 2
    except OSError as error:
        if (told := refused(error)) is None:
            raise
        report(told)
        return 2
    except KeyboardInterrupt:
        return 130


def run_hydra(main: Callable[[], object], page: str = "train") -> None:
    """Run a function under `hydra.main`; a configuration that can't be composed ends in one line and exit code 2.

    Hydra itself prints pages. Where the user has set ``HYDRA_FULL_ERROR`` the whole traceback is shown.
    ``page`` names the primary configuration, ``conf/PAGE.yaml``.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if "${" in str(Path.cwd()):  # Hydra writes it into the configuration as it is
        report(
            InputError(
                f"{Path.cwd()}: Hydra reads ${{ in the name of a folder as a variable; rename it, or work in another"
            )
        )
        sys.exit(2)
    if "HYDRA_FULL_ERROR" in os.environ:
        main()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves the error to us
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        report(InputError(explained(error, page)))
        sys.exit(2)
    except OSError as error:  # Hydra makes the run's directory before it calls us
        if (told := refused(error)) is None:
            raise
        report(told)
        sys.exit(2)
    except ValueError as error:
        if not str(error).startswith("Config group override"):  # how Hydra refuses GROUP=null
            raise
        report(InputError("a group of the configuration can't be null; leave it out with ~, as in ~budget"))
        sys.exit(2)
    finally:
        del os.environ["HYDRA_FULL_ERROR"]


def report(error: Exception) -> None:
    """Print ``error`` in one line on standard error."""
    print(f"deepmatte: {one_line(error)}", file=sys.stderr)
