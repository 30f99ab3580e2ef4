"""Shell completion for bash, zsh and fish: Hydra completes overrides, the shell completes files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

from deepmatte.cli.verbs import VERBS
from deepmatte.errors import InputError
from deepmatte.files import write_text

BASH = r"""# deepmatte: completion for bash
_deepmatte() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \t\n'
    local word="${line##*[[:space:]]}"
    COMPREPLY=($(deepmatte --complete "$line" 2>/dev/null))
    # bash takes what follows the last = or : for the word; the candidates have all of it
    COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*[=:]}"}"}")
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _deepmatte deepmatte
"""

ZSH = r"""#compdef deepmatte
_deepmatte() {
    local -a found
    found=(${=$(deepmatte --complete "$LBUFFER" 2>/dev/null)})
    compadd -S '' -- ${(M)found:#*[=.]}
    compadd -- ${found:#*[=.]}
    _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _deepmatte deepmatte
"""

FISH = r"""# deepmatte: completion for fish
complete -c deepmatte -a '(deepmatte --complete (commandline -cp) 2>/dev/null)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def main(argv: list[str]) -> int:
    """Install or show a shell's script, or print the candidates for the end of a command line, one a line."""
    option, *rest = argv
    if option == "--complete":
        print("\n".join(candidates(rest[0] if rest else "")))
        return 0
    shell = rest[0] if rest else Path(os.environ.get("SHELL", "bash")).name
    if shell not in SCRIPTS:
        raise InputError(f"{option} {shell}: unknown shell; choose one of {', '.join(SCRIPTS)}")
    if option == "--show-completion":
        print(SCRIPTS[shell], end="")
        return 0
    file, note = _place(shell)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, SCRIPTS[shell])
    print(f"{file}: written; {note}")
    return 0


def _place(shell: str) -> tuple[Path, str]:
    """Return where a shell looks for the script, and what the user has to know."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    if shell == "bash":
        file = data / "bash-completion/completions/deepmatte"
        return file, f"new shells with bash-completion read it; without, add `source {file}` to ~/.bashrc"
    if shell == "zsh":
        file = data / "deepmatte/completion.zsh"
        return file, f"add `source {file}` to ~/.zshrc"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "fish/completions/deepmatte.fish", "new shells read it"


def candidates(line: str) -> list[str]:
    """Return what the last word of ``line`` may become; nothing where the shell should offer files.

    >>> candidates("deepmatte ev")
    ['evaluate']
    >>> candidates("deepmatte sweep re")
    ['repeat']
    """
    words = line.split()[1:]
    if not words or line[-1].isspace():
        words.append("")
    *before, last = words
    if not before:
        return [word for word in (*VERBS, "--help", "--version") if word.startswith(last)]
    verb = VERBS.get(before[0])
    if verb is None:
        return []
    if verb.hydra:
        return _overrides(verb.module, line)
    if verb.words and len(before) == 1 and not last.startswith("-"):
        return [word for word in verb.words if word.startswith(last)]
    if last.startswith("-"):
        return [option for option in _options(*before[:2]) if option.startswith(last)]
    return _overrides("deepmatte.cli.train", line) if before[0] == "data" and len(before) > 1 else []


def _options(verb: str, sub_verb: str = "-") -> list[str]:
    """Return the long options that the help of a verb, or of its sub-verb, lists."""
    from deepmatte.cli.main import call

    words = [sub_verb] if sub_verb in VERBS[verb].words else []
    text = StringIO()
    with redirect_stdout(text), suppress(SystemExit):
        call(verb, [*words, "--help"])
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text.getvalue())))


def _overrides(module: str, line: str) -> list[str]:
    """Return the overrides that Hydra's own completion finds for the end of ``line``."""
    last = "" if line[-1].isspace() else line.split()[-1]
    if last.startswith("-") or (last and "=" not in last and Path(last).parent.is_dir() and "/" in last):
        return []
    environment = os.environ | {"COMP_LINE": f"deepmatte {last}"}
    command = [sys.executable, "-m", module, "-sc", "query=bash"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.split() if done.returncode == 0 else []
