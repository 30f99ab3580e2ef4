"""Help and completion: what a user is shown exists, and comes within a second."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deepmatte.cli.language import guidance
from deepmatte.cli.language.completion import SCRIPTS, candidates
from deepmatte.cli.main import run
from deepmatte.cli.verbs import VERBS
from deepmatte.config.compose import register_resolvers
from deepmatte.config.places import conf_dir
from deepmatte.config.releases import base

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("verb", ["train", "resume", "evaluate"])
def test_help_of_hydra_verbs_shows_commands_that_compose(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hydra itself composes each example (those whose plugins are here)."""
    from hydra import compose, initialize_config_dir

    register_resolvers()
    assert run([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert len(guidance._TEXTS[verb].splitlines()) <= 30
    examples = [line.split("  ")[1] for line in shown.splitlines() if line.startswith("  deepmatte ")]
    assert examples
    for example in examples:
        words = [word for word in shlex.split(example)[2:] if "=" in word and "hydra/" not in word]
        words = [word.split(",")[0] for word in words if "interval(" not in word]
        with initialize_config_dir(str(conf_dir()), **base()):
            compose(
                "evaluate" if verb == "evaluate" else "train", [w for w in words if "experiments" not in w]
            )


def test_help_lists_the_choices_and_those_of_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "of_my_own.yaml").touch()
    monkeypatch.chdir(tmp_path)
    shown = guidance.text("train")
    for word in ("laptop", "loss_weights", "workstation", "cluster", "tpe", "pareto", "of_my_own"):
        assert word in shown
    assert "closed_form" in guidance.text("evaluate")


def test_every_verb_explains_itself_without_torch() -> None:
    code = "import sys\nfrom deepmatte.cli.main import run\nfrom deepmatte.cli.verbs import VERBS\n"
    code += "for verb in VERBS:\n  try: assert run([verb, '--help']) == 0\n"
    code += "  except SystemExit as end: assert end.code == 0\n"
    code += "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: deepmatte ") == len(VERBS)


def test_candidates_are_verbs_sub_verbs_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    assert candidates("deepmatte ") == [*VERBS, "--help", "--version"]
    assert candidates("deepmatte sc") == ["score"]
    assert candidates("deepmatte data ") == ["describe", "verify", "preview", "compose"]
    assert "--foreground-names" in candidates("deepmatte data compose --f")
    assert candidates("deepmatte predict --tr") == ["--trimap"]
    assert candidates("deepmatte predict RUN pho") == []  # the shell offers files
    assert candidates("deepmatte nonsense ") == []


def test_a_real_bash_completes_verbs_and_overrides(tmp_path: Path) -> None:
    """As at the prompt, where bash splits words at the equals sign and replaces only what follows it."""
    script = tmp_path / "completion"
    script.write_text(SCRIPTS["bash"])
    program = """
source "$1"; complete -p deepmatte
try() { COMP_LINE="$1"; COMP_POINT=${#1}; _deepmatte; echo "${COMPREPLY[*]}"; }
try "deepmatte pre"; try "deepmatte sweep "; try "deepmatte train loss=di"; try "deepmatte score --j"
"""
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", program, "bash", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines() == [
        "complete -o default -F _deepmatte deepmatte",
        "predict",
        "status repeat",
        "dice dim dim_bce dim_region",
        "--json",
    ], done.stderr


def test_completion_is_installed_where_the_shell_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    places = {
        "bash": "bash-completion/completions/deepmatte",
        "zsh": "deepmatte/completion.zsh",
        "fish": "fish/completions/deepmatte.fish",
    }
    for shell, place in places.items():
        assert run(["--install-completion", shell]) == 0
        assert (tmp_path / place).read_text() == SCRIPTS[shell]
        assert str(tmp_path / place) in capsys.readouterr().out
    assert run(["--install-completion", "tcsh"]) == 2
    assert "unknown shell; choose one of bash, zsh, fish" in capsys.readouterr().err


def test_the_table_names_modules_that_are_there() -> None:
    assert [verb.module for verb in VERBS.values() if importlib.util.find_spec(verb.module) is None] == []
