"""Attacks as data: what a stranger may write into a configuration or a run directory.

Each would leave a file, or show a secret, where the guard fails.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
import yaml
from tiny_run import TINY, compose

from deepmatte.runs.directory import RunDir

SECRET = "hunter2-of-the-environment"
TREE = {
    "_target_": "deepmatte.sweeps.process.run_tree",
    "command": ["touch", "CANARY"],
    "log": "CANARY.log",
    "environment": {"PATH": "/usr/bin:/bin"},
}
"""Executed a command of a stranger in 11 of 11 tries, in the release before."""
DIM = "deepmatte.models.DeepImageMatting"
FOLDER = {"_target_": "deepmatte.data.FolderData", "root": ".", "name": "a"}
ADAM = {"_target_": "torch.optim.Adam", "_partial_": True}

# What a configuration may say at a place, with CANARY for the file that the attack would make, and PICKLE for
# one that makes it.
ATTACKS: dict[str, tuple[str, Any]] = {
    "pickle through a module": (
        "model",
        {"_target_": "deepmatte.build.torch.load", "f": "PICKLE", "weights_only": False},
    ),
    "pickle through the models": (
        "model",
        {"_target_": "deepmatte.models.base.torch.load", "f": "PICKLE", "weights_only": False},
    ),
    "pickle through the optimisers": (
        "optimizer",
        {"_target_": "torch.optim.optimizer.torch.load", "f": "PICKLE", "weights_only": False},
    ),
    "command as model": ("model", TREE),
    "command as source": ("data.source", TREE),
    "command as composition": ("composition", TREE),
    "command as optimiser": ("optimizer", TREE),
    "command as strategy": ("trainer.strategy", TREE),
    "command as method": ("method", TREE),
    "command as an argument": ("model", {"_target_": DIM, "width": TREE}),
    "command as an argument without a use": (
        "model",
        {"_target_": DIM, "nothing": {"deep": [{"down": TREE}]}},
    ),
    "command in a list": ("model", {"_target_": DIM, "width": [TREE]}),
    "command in a source": ("data.source", {**FOLDER, "root": TREE}),
    "command in a part of a mixture": (
        "data.source",
        {"_target_": "deepmatte.data.Mixture", "parts": {"a": {"source": TREE}}},
    ),
    "command beside a part's source": (
        "data.source",
        {"_target_": "deepmatte.data.Mixture", "parts": {"a": {"source": FOLDER, "b": TREE}}},
    ),
    "command in a part's source": (
        "data.source",
        {"_target_": "deepmatte.data.Mixture", "parts": {"a": {"source": {**FOLDER, "root": TREE}}}},
    ),
    "command in an optimiser": ("optimizer", {**ADAM, "lr": TREE}),
    "command in a strategy": (
        "trainer.strategy",
        {"_target_": "pytorch_lightning.strategies.DDPStrategy", "timeout": TREE},
    ),
    "command in a composition": ("composition", {"_target_": "deepmatte.data.Composition", "size": TREE}),
    "command in a method": ("method", {"_target_": "deepmatte.classical.Trivial", "alpha": TREE}),
    "file written": (
        "model",
        {"_target_": "deepmatte.runs.directory.write_text", "path": "CANARY", "text": "here"},
    ),
    "file copied": (
        "composition",
        {"_target_": "deepmatte.runs.directory.shutil.copy", "src": "PICKLE", "dst": "CANARY"},
    ),
    "picture written": (
        "method",
        {"_target_": "deepmatte.classical.method.cv2.imwrite", "filename": "CANARY.png", "img": []},
    ),
    "subprocess through Lightning": (
        "trainer.strategy",
        {
            "_target_": "pytorch_lightning.strategies.launchers.subprocess_script.subprocess.Popen",
            "args": ["touch", "CANARY"],
        },
    ),
    "os": ("model", {"_target_": "os.system", "command": "touch CANARY"}),
    "os by position": ("model", {"_target_": "os.system", "_args_": ["touch CANARY"]}),
    "posix": ("model", {"_target_": "posix.system", "command": "touch CANARY"}),
    "subprocess": ("model", {"_target_": "subprocess.run", "args": ["touch", "CANARY"]}),
    "exec": ("model", {"_target_": "builtins.exec", "_args_": ["open('CANARY', 'w')"]}),
    "open": ("model", {"_target_": "builtins.open", "file": "CANARY", "mode": "w"}),
    "runpy": ("model", {"_target_": "runpy.run_path", "path_name": "PICKLE.py"}),
    "functools": ("model", {"_target_": "functools.partial", "_args_": [TREE]}),
    "pathlib": (
        "model",
        {"_target_": "pathlib.Path.touch", "_args_": [{"_target_": "pathlib.Path", "_args_": ["CANARY"]}]},
    ),
    "an import": ("model", {"_target_": "importlib.import_module", "name": "canary_module"}),
    "a module that would be imported": ("model", {"_target_": "canary_module.Net"}),
    "Hydra again": ("model", {"_target_": "hydra.utils.instantiate", "config": TREE}),
    "positional arguments": ("model", {"_target_": DIM, "_args_": [TREE]}),
    "a model made later": ("model", {"_target_": DIM, "_partial_": True}),
    "no recursion": ("model", {"_target_": DIM, "_recursive_": False, "width": TREE}),
    "conversion": ("data.source", {**FOLDER, "_convert_": "object"}),
    "an optimiser made later, by a word": ("optimizer", {**ADAM, "_partial_": TREE}),
    "a source as model": ("model", FOLDER),
    "a model as composition": ("composition", {"_target_": "deepmatte.models.VggSegNet"}),
    "a guard as model": ("model", {"_target_": "deepmatte.sweeps.ending.SweepGuard"}),
    "a function of a module that is allowed": (
        "composition",
        {"_target_": "deepmatte.data.write_png", "path": "CANARY", "image": []},
    ),
    "a module in a module that is allowed": ("composition", {"_target_": "deepmatte.data.cv2", "a": 1}),
    "a schedule as optimiser": (
        "optimizer",
        {"_target_": "torch.optim.lr_scheduler.LambdaLR", "_partial_": True},
    ),
    "a list of targets": ("model", {"_target_": ["os", "system"], "command": "touch CANARY"}),
    "a target that is an object": ("model", {"_target_": TREE}),
    "a list for a model": ("model", [TREE]),
    "two dots": ("model", {"_target_": "deepmatte.models..os.system", "command": "touch CANARY"}),
    "a line break": ("model", {"_target_": "os.system\n.x", "command": "touch CANARY"}),
}

# The same where the user trusts the package `trusted`, which has more in it than models.
ATTACKS_ON_TRUST: dict[str, tuple[str, Any]] = {
    "a function": ("model", {"_target_": "trusted.leave", "path": "CANARY"}),
    "a class of another kind": ("model", {"_target_": "trusted.Leaver", "path": "CANARY"}),
    "nested": (
        "model",
        {"_target_": "trusted.Net", "width": {"_target_": "trusted.Leaver", "path": "CANARY"}},
    ),
    "what it imports": ("model", {"_target_": "trusted.subprocess.run", "args": ["touch", "CANARY"]}),
    "what it imports by name": ("model", {"_target_": "trusted.system", "command": "touch CANARY"}),
    "a model that it imports": ("model", {"_target_": "trusted.VggSegNet"}),
    "a name that begins alike": ("model", {"_target_": "trustedly.Net"}),
    "others as before": ("model", TREE),
}

TERMS = {
    "os": "os:system",
    "ours": "deepmatte.runs.directory:write_text",
    "ours, with a command": "deepmatte.sweeps.process:run_tree",
    "of torch": "torch.optim:SGD",
    "of Lightning": "pytorch_lightning:Trainer",
    "what a package imports": "trusted:system",
    "through what a package imports": "trusted:subprocess.run",
    "as a module": "trusted.subprocess:run",
    "no loss": "trusted:leave",
    "no function": "trusted:Leaver",
    "a name that begins alike": "trustedly:own_loss",
}

TRUSTED = """
import subprocess
from os import system
from pathlib import Path

from deepmatte.models import DeepImageMatting, VggSegNet


class Net(DeepImageMatting):
    pass


class Leaver:
    def __init__(self, path):
        Path(path).touch()


def leave(path, *more, **options):
    Path(path).touch()


def own_loss(matte, batch, *, power: float = 2.0):
    return (matte.alpha - batch["alpha"]).abs().pow(power).mean()
"""


class Pickled:
    """Makes the file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


class Trap:
    """A folder in which attacks leave their traces."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.canary = folder, folder / "canary"
        (folder / "attack.pickle").write_bytes(pickle.dumps(Pickled(self.canary)))
        (folder / "attack.pickle.py").write_text(f"open({str(self.canary)!r}, 'w')\n")
        (folder / "canary_module.py").write_text(f"open({str(self.canary)!r}, 'w')\nNet = dict\n")
        (folder / "trusted.py").write_text(TRUSTED)
        (folder / "trustedly.py").write_text(
            f"open({str(self.canary)!r}, 'w')\nfrom trusted import Net, own_loss\n"
        )

    def set(self, node: Any) -> Any:
        """Return ``node`` with the paths of this folder."""
        if isinstance(node, dict):
            return {key: self.set(child) for key, child in node.items()}
        if isinstance(node, list):
            return [self.set(child) for child in node]
        if not isinstance(node, str):
            return node
        return node.replace("CANARY", str(self.canary)).replace("PICKLE", str(self.folder / "attack.pickle"))


REFERENCES = {
    "environment": {"name": "${oc.env:SECRET_TOKEN}"},
    "environment with a default": {"name": "${oc.env:SECRET_TOKEN,none}"},
    "environment, within a word": {"data.source.name": "data of ${oc.env:SECRET_TOKEN}"},
    "environment, in a list": {"wandb.tags": ["a", "${oc.env:SECRET_TOKEN}"]},
    "environment, to be decoded": {"name": "${oc.decode:${oc.env:SECRET_TOKEN}}"},
    "environment, for the second time": {"name": r"\${oc.env:SECRET_TOKEN}"},
    "made of text": {"model": "${oc.create:{_target_:os.system,command:'touch CANARY'}}"},
    "decoded": {"seed": "${oc.decode:'0'}"},
    "our own": {"output_root": "${deepmatte.run_dir:}"},
    "of weights": {"seed": "${deepmatte.digest:CANARY}"},
    "of Hydra": {"name": "${hydra:runtime.cwd}"},
    "a name made of names": {"name": "${${objective}}"},
    "a plain one": {"name": "${objective}"},
}


TEXTS = {
    "a call": '!!python/object/apply:os.system ["touch CANARY"]',
    "a call as a value": 'name: !!python/object/apply:os.system ["touch CANARY"]\n',
    "a module": "name: !!python/module:canary_module\n",
    "no YAML": "name: [\n",
    "no keys": "- 1\n",
    "no text": "\x00\x01",
}


CALLBACK = {"trap": TREE}
HYDRA = {
    "callbacks": CALLBACK,
    "launcher": TREE,
    "sweeper": TREE,
    "searchpath": ["file://FOLDER"],
    "job_logging": {
        "version": 1,
        "handlers": {"file": {"class": "logging.FileHandler", "filename": "CANARY.log"}},
        "root": {"handlers": ["file"]},
    },
    "run": {"dir": "CANARY"},
    "job": {"chdir": True, "env_set": {"CANARY": "1"}},
}


IN_A_RUN: dict[str, dict[str, Any]] = {
    "model": {"model": TREE},
    "width of the model": {"model.width": TREE},
    "pickle": {"model": ATTACKS["pickle through a module"][1]},
    "composition": {"composition": TREE},
    "source": {"data.source": TREE},
    "optimiser": {"optimizer": TREE},
    "strategy": {"trainer.strategy": TREE},
    "term": {"loss.mine": {"term": "os:system", "weight": 1}},
    "reference": {"name": "${oc.env:SECRET_TOKEN}"},
    "no model": {"model": None},
    "no data": {"data": "a word"},
    "no source": {"data": {"batch_size": 2}},
}


def stranger(trap: Trap, patch: dict[str, Any] | None = None, text: str = "") -> RunDir:
    """Return a run directory as of `deepmatte train`, with ``patch`` at dotted keys or ``text`` on top."""
    run = RunDir(trap.folder / "run")
    run.write_config(compose("train", [*TINY, "wandb.mode=disabled"]), ["seed=0"])
    run.checkpoints.mkdir()
    for name in ("best", "last"):
        torch.save(
            {"deepmatte": {"refine": True, "stage": "joint", "scores": {}}, "state_dict": {}},
            run.checkpoints / f"{name}.ckpt",
        )
    file = run.path / ".hydra/config.yaml"
    config = yaml.safe_load(file.read_text())
    for key, value in trap.set(patch or {}).items():
        *path, last = key.split(".")
        parent = config
        for step in path:
            parent = parent[step]
        parent[last] = value
    file.write_text(trap.set(text) + yaml.safe_dump(config))
    return run
