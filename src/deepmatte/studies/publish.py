"""What ends a study and a race: baselines on the same test sets, the page, the index of the experiments."""

from __future__ import annotations

import sys
from pathlib import Path

from deepmatte.studies.index import write_index
from deepmatte.studies.study import Study, score_baselines, tables, unfinished


def publish(study: Study, folder: Path | None = None) -> None:
    """Score what the study compares its runs with, write its page, and say where.

    ``folder`` is that of the page; None takes that of the experiment, whose index is updated.

    Raises:
        InputError: no run is finished.
    """
    scenes: list[Path] = []
    with study.active():
        groups = [(runs, score_baselines(study, runs)) for runs in tables(study)]
        if study.options["scenes"]:
            from deepmatte.studies.scenes import score_scenes

            scenes = score_scenes(study, groups[0][0])
    from deepmatte.studies.page import write_page

    home, rest = study.file.parent, unfinished(study)
    print(f"page      {write_page(study, groups, folder or home, scenes, rest)}")
    if rest:
        print(f"deepmatte: {rest}; the page says so; the same command runs the rest", file=sys.stderr)
    if folder is None or folder.resolve() == home.resolve():
        print(f"index     {write_index(home)}")
