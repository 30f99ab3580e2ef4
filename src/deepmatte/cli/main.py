"""`deepmatte VERB ...`: reads the verb and runs its module."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deepmatte import __version__
from deepmatte.cli.language.grammar import hydra_words
from deepmatte.cli.verbs import VERBS
from deepmatte.errors import InputError, RunError, did_you_mean, one_line
from deepmatte.files import refused


def usage() -> str:
    """Return the text of `deepmatte --help`."""
    return "\n".join(
        [
            "usage: deepmatte VERB ...",
            "",
            "verbs:",
            *(f"  {name:<10} {verb.help}" for name, verb in VERBS.items()),
            "",
            "`deepmatte VERB --help` explains a verb.",
            "`deepmatte --install-completion bash|zsh|fish` completes verbs, keys and files.",
        ]
    )


def main() -> None:
    """Run the verb that the command line names; bad input ends in one line and exit code 2."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _discard_output()
        code = 141
    except OSError as error:  # standard output is a file on a full disk
        if (refusal := refused(error)) is None:
            raise
        report(refusal)
        _discard_output()
        code = 2
    sys.exit(code)


def _discard_output() -> None:
    """Send what Python still flushes at its end nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"deepmatte {__version__}")
        return 0
    verb, *rest = arguments
    if verb in ("--install-completion", "--show-completion", "--complete"):
        return _call("deepmatte.cli.language.completion", arguments)
    if verb not in VERBS:
        meant = did_you_mean(verb, VERBS)
        report(InputError(f"unknown verb '{verb}'{meant} (the verbs are {', '.join(VERBS)})"))
        return 2
    if VERBS[verb].hydra:
        return _run_hydra_verb(verb, rest)
    return call(verb, rest)


def _run_hydra_verb(verb: str, words: Sequence[str]) -> int:
    """Replace this process by ``python -m MODULE``: Lightning starts other ranks by repeating ``sys.argv``.

    So the command line has to be one that Python can repeat, with every word as the module reads it.
    """
    if {"-h", "--help"} & set(words):
        return _call("deepmatte.cli.language.guidance", [verb])
    try:
        words = hydra_words(verb, words)
    except InputError as error:
        report(error)
        return 2
    sys.stderr.flush()
    return os.execv(sys.executable, [sys.executable, "-m", VERBS[verb].module, *words])


def call(verb: str, arguments: Sequence[str]) -> int:
    """Run a verb that is not Hydra's in this process, and return its exit code."""
    return _call(VERBS[verb].module, arguments)


def _call(module: str, arguments: Sequence[str]) -> int:
    """Run ``MODULE.main(arguments)``, turning the user's errors into one line."""
    try:
        return importlib.import_module(module).main(list(arguments))
    except (InputError, RunError) as error:
        report(error)
        return 2
    except OSError as error:
        if (refusal := refused(error)) is None:
            raise
        report(refusal)
        return 2
    except Exception as error:
        if (lacking := _no_memory(error)) is None:
            raise
        report(lacking)
        return 2
    except KeyboardInterrupt:
        return 130


def _no_memory(error: Exception) -> RunError | None:
    """Return the error that says that the memory does not suffice; None where ``error`` is another one."""
    words = ("allocate memory", "Insufficient memory", "Unable to allocate")
    if not isinstance(error, MemoryError) and not any(word in str(error) for word in words):
        return None
    cure = (
        "give smaller pictures, fewer --processes or data.num_workers, or DEEPMATTE_MAX_PIXELS to refuse them"
    )
    return RunError(f"out of memory; {cure}")


def run_hydra(main: Callable[[], object], page: str = "train") -> None:
    """Run a function under `hydra.main`; a bad configuration ends in one line and exit code 2.

    Hydra would print pages. Where the user has set ``HYDRA_FULL_ERROR`` the whole traceback is shown.
    ``page`` names the primary configuration, ``conf/PAGE.yaml``.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from deepmatte.config.releases import lazy_help
    from deepmatte.config.unknown_keys import check_choices, explained

    if "${" in str(Path.cwd()):  # Hydra writes it into the configuration as it is
        report(
            InputError(f"{Path.cwd()}: Hydra takes ${{ in a folder's name for a variable; rename that folder")
        )
        sys.exit(2)
    if "HYDRA_FULL_ERROR" in os.environ:
        with lazy_help():
            main()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises the error instead of printing it
    try:
        check_choices(sys.argv[1:])
        _check_what_is_printed(sys.argv[1:], page)
        with lazy_help():
            main()
    except InputError as error:
        report(error)
        sys.exit(2)
    except (HydraException, OmegaConfBaseException) as error:
        report(InputError(explained(error, page)))
        sys.exit(2)
    except OSError as error:  # Hydra makes the run's directory before it calls `main`
        if (refusal := refused(error)) is None:
            raise
        report(refusal)
        sys.exit(2)
    except Exception as error:
        if (lacking := _no_memory(error)) is None:
            raise
        report(lacking)
        sys.exit(2)
    finally:
        del os.environ["HYDRA_FULL_ERROR"]


def _check_what_is_printed(words: Sequence[str], page: str) -> None:
    """Refuse keys that nothing reads, too, where ``--cfg`` only prints them; Hydra calls no function then.

    Raises:
        InputError: it names the key, or ``-m``, with which Hydra prints nothing.
    """
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    if not {"--cfg", "-c"} & {*options}:
        return
    if {"-m", "--multirun"} & {*options}:
        raise InputError(
            "--cfg prints the configuration of one run: leave out -m, and give each key one value"
        )
    if any(option.startswith(("--config", "-c")) for option in options if option not in ("--cfg", "-c")):
        return  # the user's own files
    from omegaconf import open_dict

    from deepmatte.config.compose import compose
    from deepmatte.config.unknown_keys import check_keys

    overrides = [word for word in words if not word.startswith("-") and ("=" in word or word.startswith("~"))]
    config = compose(page, overrides, hydra=True)
    with open_dict(config):
        hydra = config.pop("hydra")
    check_keys(config, page, hydra)


def report(error: Exception) -> None:
    """Print ``error`` in one line on standard error."""
    print(f"deepmatte: {one_line(error)}", file=sys.stderr)
