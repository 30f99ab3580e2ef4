"""The table of verbs: what each does, which module runs it, and whether Hydra reads its words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """A row of the table: ``help`` is one line, ``words`` are the sub-verbs.

    A module of a Hydra verb is started as a program, ``python -m MODULE KEY=VALUE …``; of any other verb its
    ``main(arguments)`` is called, which returns the exit code.
    """

    module: str
    help: str
    hydra: bool = False
    words: tuple[str, ...] = ()


VERBS = {
    "train": Verb("deepmatte.cli.train", "Train a network, or sweep over several settings", hydra=True),
    "resume": Verb("deepmatte.cli.train", "Resume an interrupted run", hydra=True),
    "evaluate": Verb(
        "deepmatte.cli.evaluate", "Score a run, a sweep or a classical method on a data set", hydra=True
    ),
    "predict": Verb("deepmatte.cli.photographs.predict", "Matte photographs: matte, cut-out, new composite"),
    "trimap": Verb("deepmatte.cli.photographs.trimap", "Make trimaps of a box, a mask or strokes"),
    "colours": Verb(
        "deepmatte.cli.photographs.colours", "Cut photographs out by anybody's mattes, with clean colours"
    ),
    "demo": Verb("deepmatte.cli.photographs.demo", "Cut photographs out on a page in the browser"),
    "serve": Verb("deepmatte.cli.photographs.serve", "Answer photographs by mattes over HTTP"),
    "export": Verb(
        "deepmatte.cli.photographs.export", "Write a network to one file: ONNX, torch.export or weights"
    ),
    "convert": Verb("deepmatte.cli.convert", "Convert other people's weights, to start a run from them"),
    "score": Verb("deepmatte.cli.score", "Score mattes on disk, whoever made them"),
    "sweep": Verb(
        "deepmatte.cli.sweep", "Watch a sweep, or repeat one of its jobs", words=("status", "repeat")
    ),
    "compare": Verb("deepmatte.cli.compare", "Compare the settings of a sweep, with statistics and a page"),
    "plan": Verb("deepmatte.cli.plan", "Say how many seeds and foregrounds detect a difference"),
    "study": Verb("deepmatte.cli.study", "Run an experiment with its baselines and write its page"),
    "race": Verb("deepmatte.cli.race", "Run an experiment in rounds that drop what cannot be the best"),
    "sync": Verb("deepmatte.cli.sync", "Upload runs that were logged offline to Weights & Biases"),
    "data": Verb(
        "deepmatte.cli.data",
        "Describe and verify data sets, preview samples, compose benchmark images",
        words=("describe", "verify", "preview", "compose"),
    ),
}
"""In the order in which a user meets them."""
