"""`deepmatte train|resume|evaluate --help`: what a user can do, by examples, and the choices."""

from __future__ import annotations

import textwrap

from deepmatte.config.places import conf_dir, files_of

TRAIN = """\
usage: deepmatte train [-m] [KEY=VALUE ...]

Train a matting network; with -m and lists of values, sweep over several settings.

  deepmatte train                                       the embedded data, minutes on two cores
  deepmatte train loss=dim loss.dice.weight=0.5 seed=1  a preset of losses, one weight, one seed
  deepmatte train data=folder data.root=DIR             your own foregrounds, mattes and backgrounds
  deepmatte train trainer=gpu budget=full model=dim model.pretrained=imagenet optimizer.lr=1e-5
                                                        Deep Image Matting as published, on a GPU
  deepmatte train data=folder data.root=DIR init=RUN    from the weights of a run, or of a file
  deepmatte train -m loss=alpha,dim seed=0,1 name=mine  a sweep of four runs in runs/mine
  deepmatte train experiments=loss_weights              a prepared sweep
  deepmatte train experiments=loss_weights hydra/launcher=workstation trainer=gpu
                                                        its jobs side by side on the GPUs of this machine
  deepmatte train -m hydra/sweeper=tpe "loss.dice.weight=interval(0,2)" name=search
                                                        a search instead of a grid

A run is written to runs/NAME/<hash of its configuration>. The same command resumes what was
interrupted and skips what is finished (force=true discards and retrains it).

options:
  -m, --multirun  sweep: KEY=A,B trains one run for each value (experiments do so without -m)
  --cfg job       print the configuration, every key with its value, and train nothing
  --hydra-help    print Hydra's own options
"""

RESUME = """\
usage: deepmatte resume RUN

Resume an interrupted run under its own configuration, from its last checkpoint.

  deepmatte resume runs/train/1a2b3c4d

Weights, scores and curves end as those of an uninterrupted run. Repeating the command that
started the run does the same; `deepmatte sweep repeat RUN` is for a job of a sweep.
"""

EVALUATE = """\
usage: deepmatte evaluate RUN|SWEEP [KEY=VALUE ...]
       deepmatte evaluate method=NAME [KEY=VALUE ...]

Score a run, every finished run of a sweep, or a classical method, on a data set.

  deepmatte evaluate runs/train/1a2b3c4d                         the test split of the run's own data
  deepmatte evaluate runs/train/1a2b3c4d checkpoint=last split=val
  deepmatte evaluate runs/train/1a2b3c4d data=alphamatting data.root=DIR robustness=true
                                                                 photographs, and wider and wider trimaps
  deepmatte evaluate runs/train/1a2b3c4d data=alphamatting data.root=DIR tile=1024
                                                                 large ones, tile by tile
  deepmatte evaluate runs/my_sweep data=alphamatting data.root=DIR
                                                                 every finished run; a repetition resumes
  deepmatte evaluate method=closed_form data=alphamatting data.root=DIR
  deepmatte evaluate method=kmeans method.clusters=auto like=runs/train/1a2b3c4d
                                                                 on the data of a run, for one table

Scores go to RUN/evaluations/NAME (a method's to runs/evaluations): result.json, per_image.csv,
pictures and figures. NAME is DATA_SPLIT and what differs from the usual, as in
alphamatting_test_trimap_loose; `deepmatte compare SWEEP --on NAME` compares such evaluations.

options:
  --cfg job       print the configuration, every key with its value, and score nothing
  --hydra-help    print Hydra's own options
"""

_TEXTS = {"train": TRAIN, "resume": RESUME, "evaluate": EVALUATE}

_PLUGINS = {
    "hydra/launcher": ("basic", "joblib", "submitit_local", "submitit_slurm"),
    "hydra/sweeper": ("basic",),
}
"""Choices that Hydra and its plugins bring along."""


def main(argv: list[str]) -> int:
    """Print the help of the verb ``argv[0]``."""
    print(text(argv[0]))
    return 0


def text(verb: str) -> str:
    """Return the help of a Hydra verb; Hydra itself would take seconds to compose its own."""
    lines = [_TEXTS[verb]]
    if verb != "resume":
        lines.append("choices (GROUP=NAME; your own are files of the same folders where you work):")
        for group in groups(verb):
            listed = f"  {group:<14} {', '.join(choices(group))}"
            lines.append(textwrap.fill(listed, 100, subsequent_indent=17 * " ", break_on_hyphens=False))
        lines.append(f"\n{conf_dir() / verb}.yaml explains every key, the files beside it every choice.")
    return "\n".join(lines)


def groups(verb: str) -> list[str]:
    """Return the groups of the configuration that a user of ``verb`` chooses from."""
    if verb == "evaluate":
        return ["composition", "data", "method", "trainer"]
    folders = {folder.name for folder in conf_dir().iterdir() if folder.is_dir()} - {"hydra", "method"}
    return sorted(folders | {"experiments", *_PLUGINS})


def choices(group: str) -> list[str]:
    """Return the choices of a group of the configuration: our files, the user's, and plugins'."""
    return sorted({*files_of(group), *_PLUGINS.get(group, ())})
