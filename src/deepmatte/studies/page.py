"""The page of a study: Markdown with its figures, from the records alone, so it can be rewritten any time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from deepmatte.compare.comparison import Comparison, compare
from deepmatte.compare.factors import effects
from deepmatte.compare.race_view import race_of
from deepmatte.compare.records.reading import Run
from deepmatte.compare.table import number
from deepmatte.files import write_bytes, write_text
from deepmatte.metrics.names import DEFAULT_SCORES, heading
from deepmatte.reports.drawing import MOST, to_png
from deepmatte.reports.failures import category_table, failures
from deepmatte.reports.figures import draw_all
from deepmatte.reports.page import cell, render_markdown
from deepmatte.reports.planned_tests_section import failed_settings, methods_section, pairs_section, remarks
from deepmatte.reports.study_figures import MOST_COLUMNS, loss_figure, loss_table, sheet, stage_starts
from deepmatte.runs.directory import RunDir
from deepmatte.studies.evaluations import evaluations_section
from deepmatte.studies.scene_page import picture, section
from deepmatte.studies.study import Study, header
from deepmatte.studies.tuning import rates

MOST_LEVELS = 3
"""Methods whose score is a line in the figure of scores."""

DRAWINGS = ("race", "scores", "effects", "interactions", "curves")
"""Figures of the comparison that the page shows."""

FAILURES = (
    "Of some categories the test picture with the largest mean error, at the place where the settings err "
    "most: matte and absolute error (black 0, yellow 1) of one seed, best setting first"
)

SCENES = (
    "Pictures with several objects: above by object, below by class; after the truth the best networks and "
    "methods by semantic mIoU. Grey is background."
)

CREDITS = (
    "Pictures: drawn by deepmatte; backgrounds from scikit-image and scikit-learn "
    "(china and flower: CC BY 2.0, danielbuechele, vultilion)."
)


def write_page(
    study: Study,
    tables: Sequence[tuple[Sequence[Run], Sequence[Path]]],
    folder: Path,
    scenes: Sequence[Path] = (),
    warning: str = "",
) -> Path:
    """Write ``FOLDER/NAME.md`` and its figures ``FOLDER/NAME/*.png``; return the page.

    Args:
        study: the experiment.
        tables: for each test set its runs, and the directories of the methods that were scored on it.
        folder: where experiments and their pages are.
        scenes: the records of scenes with several objects, where the study has such.
        warning: the first line, such as that the sweep is not finished.
    """
    options = study.options
    parts = [f"# {study.name}", *([f"**{warning}.**"] if warning else []), *_paragraphs(header(study.file))]
    parts += [text for text in (str(options["text"]).strip(), str(options["published"]).strip()) if text]
    parts += [_costs(study, tables), rates(study, [run for runs, _ in tables for run in runs])]
    for index, (runs, methods) in enumerate(tables):
        if len(tables) > 1:
            everywhere = [run for others, _ in tables for run in others]
            parts.append(f"# Test set {index + 1}: {_what_is_special(runs, everywhere)}")
        parts += _table(study, runs, methods, folder, f"{index + 1}_" if len(tables) > 1 else "")
    if scenes:
        write_bytes(folder / study.name / "scenes.png", _png(picture(scenes)))
        parts += [section(scenes), f"![{SCENES}]({study.name}/scenes.png)\n*{SCENES}*"]
    if any(run.result["dataset"]["name"] == "procedural" for runs, _ in tables for run in runs):
        parts.append(CREDITS)
    page = folder / f"{study.name}.md"
    write_text(page, "\n\n".join(part.strip() for part in parts if part.strip()) + "\n")
    return page


def _costs(study: Study, tables: Sequence[tuple[Sequence[Run], Sequence[Path]]]) -> str:
    """Return what the study took: seeds, runs, evaluations, time at work and machine time."""
    seconds = sum(float(run.result["cost"]["seconds"]) for runs, _ in tables for run in runs)
    homes = [home for _, methods in tables for home in methods]
    seconds += sum(float((RunDir(home).result() or {})["cost"]["seconds"]) for home in homes)
    total = sum(len(runs) for runs, _ in tables)
    evaluations = f"{len(homes)} evaluation{'s' * (len(homes) > 1)} of methods without a network"
    methods = f" and {evaluations}" if homes else ""
    clock = f"{study.seconds / 60:.0f} minutes elapsed, " if study.clock_covers(seconds) else ""
    return (
        f"Seeds {_seeds(tables)}. {total} runs{methods}, {clock}{seconds / 60:.0f} minutes of machine time "
        "in all."
    )


def _table(
    study: Study, runs: Sequence[Run], methods: Sequence[Path], folder: Path, prefix: str
) -> list[str]:
    """Return the paragraphs on one test set and write its figures."""
    options = study.options
    ways = {"screening": options["screening"], "equal_within": options["equal_within"]}
    comparison = compare([run.path for run in runs], options["metric"], options["reference"], **ways)
    records = {path: RunDir(path).result() or {} for path in methods}
    found, race = effects(comparison.decisive.table), race_of(comparison)
    levels = _levels(comparison, list(records.values()))
    drawn = draw_all(comparison, found, [], levels, race)
    drawings = [drawing for drawing in drawn if drawing.name in DRAWINGS]
    for drawing in drawings:
        write_bytes(folder / study.name / f"{prefix}{drawing.name}.png", to_png(drawing))
    text = render_markdown(comparison, found, drawings, study.name, race)
    parts = [
        text.replace(f"]({study.name}/", f"]({study.name}/{prefix}"),
        "\n".join(f"- {line}" for line in failed_settings(comparison)),
        *pairs_section(comparison, options["pairs"]),
        *evaluations_section(runs, options, ways),
    ]
    if records:
        parts += [*methods_section(comparison, methods), methods_table(list(records.values()))]
        parts.append(remarks({str(record["method"]): record["notes"] for record in records.values()}))
    parts += _losses(comparison)
    if options["kinds"]:
        parts.append(category_table(comparison))
    labels = {str(record["method"]): path for path, record in records.items()}
    for name, figure, caption in _figures(comparison, labels, options):
        if figure is not None:
            write_bytes(folder / study.name / f"{prefix}{name}.png", _png(figure))
            parts.append(f"![{caption}]({study.name}/{prefix}{name}.png)\n*{caption}*")
    return parts


def _figures(
    comparison: Comparison, methods: Mapping[str, Path], options: Mapping[str, Any]
) -> Iterator[tuple[str, Figure | None, str]]:
    """Yield the study's own figures with names and captions; None where there is nothing to show."""
    loss = (
        "Loss by epoch relative to its first value, mean of the seeds: training as a line, validation dashed."
    )
    if stage_starts(comparison):
        loss += " Where a stage begins (dotted), the loss itself may change."
    columns = MOST_COLUMNS - min(len(methods), MOST_COLUMNS // 2)
    mattes = "Test pictures and their mattes, best setting first" + _left_out(comparison, columns)
    yield "failures", failures(comparison, options["kinds"]), FAILURES + _left_out(comparison, MOST)
    yield "loss", loss_figure(comparison), loss
    yield "mattes", sheet(comparison, methods, int(options["pictures"])), mattes


def _left_out(comparison: Comparison, most: int) -> str:
    """Return how many settings a figure of the ``most`` best and worst leaves out, and the full stop."""
    hidden = len(comparison.settings) - most
    return f"; {hidden} in between {'is' if hidden == 1 else 'are'} not shown." if hidden > 0 else "."


def _levels(comparison: Comparison, records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the best methods' scores in the primary metric, without the trivial one, which runs record."""
    key = f"test/{comparison.main}"
    scores = {
        str(record["method"]): float(record["scores"][key])
        for record in records
        if key in record["scores"] and not str(record["method"]).startswith("trivial")
    }
    best = sorted(scores, key=lambda name: comparison.decisive.table.sign * scores[name])
    return {name: scores[name] for name in best[:MOST_LEVELS]}


def methods_table(records: Sequence[dict[str, Any]]) -> str:
    """Return the methods without a network as Markdown, those with a trimap and those without apart."""
    lines = []
    for mode in ("trimap given", "trimap-free"):
        chosen = sorted(
            (record for record in records if record["mode"] == mode),
            key=lambda record: record["scores"]["test/sad"],
        )
        if not chosen:
            continue
        lines += [
            "",
            f"| without a network, {mode}{_zones(chosen)} | {' | '.join(map(heading, DEFAULT_SCORES))} "
            "| pictures with a note |",
            "|---|" + "---:|" * (len(DEFAULT_SCORES) + 1),
        ]
        for record in chosen:
            scores = " | ".join(number(record["scores"][f"test/{metric}"]) for metric in DEFAULT_SCORES)
            lines.append(f"| {cell(record['method'])} | {scores} | {len(record['notes'])} |")
    return "\n".join(lines[1:])


def _zones(records: Sequence[dict[str, Any]]) -> str:
    """Say where methods that know the trimap are scored without imposing its known zones."""
    given = all(record["mode"] == "trimap given" for record in records)
    return (
        ", mattes as written"
        if given and not any(record.get("impose_trimap", True) for record in records)
        else ""
    )


def _losses(comparison: Comparison) -> list[str]:
    table = loss_table(comparison)
    if table.empty:
        return []
    ranked = [score.setting for score in comparison.decisive.scores if score.setting in table.index]
    rows = [
        f"| {cell(name)} | {number(table.train[name])} | {number(table.validation[name])} |"
        for name in ranked
    ]
    return [
        "\n".join(["| setting | training loss, last epoch | validation loss |", "|---|---:|---:|", *rows])
    ]


def _seeds(tables: Sequence[tuple[Sequence[Run], Sequence[Path]]]) -> str:
    return ", ".join(map(str, sorted({run.seed for runs, _ in tables for run in runs})))


def _what_is_special(runs: Sequence[Run], everywhere: Sequence[Run]) -> str:
    """Return the overrides that all of ``runs`` share, and that not all runs everywhere do."""
    shared = set.intersection(*(set(run.result["overrides"]) for run in runs))
    common = set.intersection(*(set(run.result["overrides"]) for run in everywhere))
    return ", ".join(sorted(shared - common)) or json.dumps(runs[0].result["dataset"]["digest"][:8])


def _paragraphs(comment: Sequence[str]) -> list[str]:
    """Join the lines of the header: each of its words Claim, Cost, Command begins a paragraph."""
    parts: list[str] = []
    for line in comment:
        if parts and not line.startswith(("Claim", "Cost", "Command", "Answer")):
            parts[-1] += f" {line}"
        else:
            parts.append(line)
    return parts


def _png(figure: Figure) -> bytes:
    """Return the figure as PNG of 256 colours, a third of the size, since pages are kept with the code."""
    drawn, kept = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    Image.open(drawn).convert("RGB").quantize(256).save(kept, format="png", optimize=True)
    return kept.getvalue()
