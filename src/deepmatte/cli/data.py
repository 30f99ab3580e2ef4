"""Describe and check data sets, preview training samples, compose benchmark images with a manifest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepmatte.errors import InputError

if TYPE_CHECKING:
    from omegaconf import DictConfig

VERBS = ("describe", "verify", "preview", "compose")
MOST_PROBLEMS = 50

_ADOBE = {
    "test": ("Test_set/Adobe-licensed images/{}/*", "Test_set/test_{}_names.txt", 20),
    "train": ("Training_set/*/{}/*", "Training_set/training_{}_names.txt", 100),
}
"""Where the archive of Adobe Image Matting has its layers and lists, and how many backgrounds a foreground gets."""


def main(argv: list[str]) -> int:
    """Run a sub-verb; return 0, or 1 if `verify` finds anything wrong; InputError if the input can't be used."""
    options = parser().parse_intermixed_args(argv[:1])
    rest = argv[1:]
    return {"describe": _describe, "verify": _verify, "preview": _preview, "compose": _compose}[options.verb](
        rest
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the sub-verb."""
    result = argparse.ArgumentParser(
        prog="deepmatte data",
        description="Describe and check data sets, preview training samples, compose benchmark images.",
        epilog="describe  what was found: counts and sizes by split, and a contact sheet\n"
        "verify    read every file and list every problem with its file; or check composed images by their manifest\n"
        "preview   the very samples that training will see\n"
        "compose   the images of Composition-1k and the like, bit for bit as the data set's script makes them\n\n"
        "`deepmatte data VERB --help` explains each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("verb", choices=VERBS, metavar="VERB", help=", ".join(VERBS))
    return result


def _overriding_parser(verb: str, description: str) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog=f"deepmatte data {verb}", description=description)
    overrides = "what `deepmatte train` takes, such as data=NAME data.root=DIR composition=dim seed=1"
    result.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=overrides)
    return result


def composed_config(overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that ``deepmatte train`` would have with these overrides.

    Raises:
        InputError: one of them is no override, or names what is not there.
    """
    from deepmatte.config.compose import check_keys, compose

    config = compose("train", overrides)
    check_keys(config, "train")
    return config


def _describe(argv: list[str]) -> int:
    result = _overriding_parser(
        "describe",
        "Say what a data set holds: a line for each kind of picture and split, and a contact sheet.",
    )
    result.add_argument(
        "--out", type=Path, metavar="FILE", help="the contact sheet, a PNG (default: describe_NAME.png)"
    )
    result.add_argument(
        "--num",
        type=_positive,
        default=4,
        metavar="N",
        help="pictures of each kind and split on the sheet (default: 4)",
    )
    options = result.parse_intermixed_args(argv)
    config = composed_config(options.overrides)
    from rich.console import Console
    from rich.table import Table

    from deepmatte.data.inspection.describe import describe
    from deepmatte.data.inspection.sheet import contact_sheet
    from deepmatte.data.sources.images import write_png
    from deepmatte.training.from_config import build_data

    source = build_data(config).source
    lines, rows = describe(source, options.num)
    table = Table(title=f"{source.name}, version {source.version}", title_justify="left")
    for column in ("split", "pictures", "count", "distinct", "smallest", "largest", "formats"):
        table.add_column(
            column, justify="right" if column in ("count", "distinct", "smallest", "largest") else "left"
        )
    for line in lines:
        if not line.note:
            numbers = (str(line.count), str(line.num_distinct), line.smallest, line.largest)
            table.add_row(line.split, line.what, *numbers, line.formats)
    console = Console()
    console.print(table)
    for line in lines:
        if line.note:
            console.print(f"{line.split}: {line.note}", soft_wrap=True, markup=False, highlight=False)
    _report_skipped(source)
    if not rows:
        return 1
    out = options.out or Path(f"describe_{source.name}.png")
    write_png(out, contact_sheet(rows))
    print(f"contact sheet: {out}")
    return 0


def _verify(argv: list[str]) -> int:
    result = _overriding_parser(
        "verify",
        "Read every file of a data set and list every problem; or, with --manifest, check composed images pixel by pixel.",
    )
    result.add_argument(
        "--manifest", type=Path, metavar="FILE", help="manifest.json of `deepmatte data compose`"
    )
    result.add_argument(
        "--images", type=Path, metavar="DIR", help="the images to check (default: the manifest's folder)"
    )
    _add_inputs(result)
    result.add_argument(
        "--processes", type=_positive, metavar="N", help="how many files at once (default: one for each core)"
    )
    options = result.parse_intermixed_args(argv)
    if options.manifest is not None:
        return _verify_manifest(options)
    config = composed_config(options.overrides)
    _skip_errors(config.data)
    import logging

    from deepmatte.data.inspection.verify import verify
    from deepmatte.training.from_config import build_data

    data = build_data(config)
    skip_logger = logging.getLogger("deepmatte.data.sources.folder")
    skip_logger.disabled = True
    try:
        verdict = verify(data.source, data.composition, options.processes)
    finally:
        skip_logger.disabled = False
    for problem in verdict.problems:
        print(problem)
    for note in verdict.notes:
        print(note)
    for split, reason in (verdict.unavailable | verdict.unusable).items():
        print(f"{split}: {reason}")
    if len(verdict.unavailable) + len(verdict.unusable) == 3:
        raise InputError(f"data={data.source.name}: there is nothing to read")
    unusable = f"no {' and no '.join(verdict.unusable)} split; " if verdict.unusable else ""
    print(f"{unusable}{verdict.num_items} items read, {len(verdict.problems)} problems")
    return 1 if verdict.problems or verdict.unusable else 0


def _skip_errors(node: Any) -> None:
    """Let every source of files collect what it finds wrong by names and headers, instead of stopping at the first."""
    from omegaconf import DictConfig, OmegaConf, open_dict

    if isinstance(node, DictConfig):
        if node.get("_target_") == "deepmatte.data.FolderData":
            with open_dict(node):
                node.on_error = "skip"
        for key in node:
            if not OmegaConf.is_interpolation(node, key) and not OmegaConf.is_missing(node, key):
                _skip_errors(node[key])


def _verify_manifest(options: argparse.Namespace) -> int:
    from deepmatte.data.composition1k.manifest import check_manifest, diagnose, read_manifest

    manifest = read_manifest(options.manifest)
    folder = options.images or options.manifest.parent
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; set --images to the folder of the images")
    problems = check_manifest(manifest, folder, options.processes)
    total = len(manifest["images"])
    if not problems:
        print(f"all {total} images are those of the manifest (sha256 {manifest['sha256'][:16]})")
        return 0
    first = next(record for record in manifest["images"] if record["image"] in problems)
    print(f"{folder / first['image']}: {problems[first['image']]}")
    if problems[first["image"]] == "differs":
        if options.background is None:
            print("  to learn why: add --root and --background, the folders that it was composed of")
        else:
            print(f"  {diagnose(first, folder, _inputs(options))}")
    for problem in list(problems)[1:MOST_PROBLEMS]:
        print(f"{folder / problem}: {problems[problem]}")
    print(f"{len(problems)} of {total} images are not those of the manifest")
    return 1


def _preview(argv: list[str]) -> int:
    result = _overriding_parser(
        "preview",
        "Draw the very samples that training will see, in their order, or those of validation and test.",
    )
    result.add_argument(
        "--out", type=Path, default=Path("preview.png"), metavar="FILE", help="a PNG (default: preview.png)"
    )
    result.add_argument(
        "--num", type=_positive, default=16, metavar="N", help="how many samples (default: 16)"
    )
    result.add_argument(
        "--epoch", type=_whole, default=0, metavar="E", help="of the training stream (default: 0)"
    )
    result.add_argument("--split", default="train", choices=("train", "val", "test"), help="(default: train)")
    options = result.parse_intermixed_args(argv)
    config = composed_config(options.overrides)
    from deepmatte.data.inspection.sheet import contact_sheet, row_of_sample
    from deepmatte.data.sources.images import write_png
    from deepmatte.training.from_config import build_data

    data = build_data(config)
    if hasattr(data.source, "prepare"):
        data.source.prepare([options.split])
    if options.split == "train":
        from deepmatte.data.samplers import StreamSampler

        sampler = StreamSampler(data.samples_per_epoch, data.batch_size, fixed=data.fixed_stream)
        sampler.set_epoch(options.epoch)
        dataset: Any = data.train_dataset()
        keys: list[Any] = [key for key, _ in zip(sampler, range(options.num), strict=False)]
    else:
        dataset = data.eval_dataset(options.split)
        keys = list(range(min(options.num, len(dataset))))
    rows = [row_of_sample(dataset[key]) for key in keys]
    for caption, _ in rows:
        print(caption if caption.isprintable() else repr(caption))
    write_png(options.out, contact_sheet(rows))
    print(f"contact sheet: {options.out}")
    _report_skipped(data.source)
    return 0


def _compose(argv: list[str]) -> int:
    result = argparse.ArgumentParser(
        prog="deepmatte data compose",
        description="Compose the images of a benchmark as Adobe's script does, bit for bit, and write manifest.json, which lists the "
        "SHA-256 of their pixels. A call that was killed goes on where it stopped.",
    )
    split = "the layout of Adobe Image Matting: test is 50 x 20 images over Pascal VOC, train is 431 x 100 over COCO train2014"
    result.add_argument("split", nargs="?", choices=tuple(_ADOBE), help=split)
    _add_inputs(result)
    result.add_argument(
        "--foreground-names", type=Path, metavar="FILE", help="names of the foregrounds, in order"
    )
    result.add_argument(
        "--background-names",
        type=Path,
        metavar="FILE",
        help="names of the backgrounds, K for each foreground in turn",
    )
    result.add_argument(
        "--per-foreground", type=_positive, metavar="K", help="backgrounds for each foreground"
    )
    name = "name of an image: {foreground}, {k} = 0 … K - 1, {n} = 0 … all (default: {foreground}_{k})"
    result.add_argument("--name", default="{foreground}_{k}", metavar="NAME", help=name)
    result.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write to")
    result.add_argument(
        "--processes", type=_positive, metavar="N", help="how many at once (default: one for each core)"
    )
    options = result.parse_intermixed_args(argv)
    from deepmatte.data.composition1k.manifest import MANIFEST, compose, plan

    inputs = _inputs(options)
    _, names, num = _ADOBE[options.split or "test"]
    lists = [getattr(options, f"{kind}_names") for kind in ("foreground", "background")]
    if options.split is not None:
        lists = [
            path or options.root / names.format(short)
            for path, short in zip(lists, ("fg", "bg"), strict=True)
        ]
    num = options.per_foreground or (num if options.split else None)
    if None in lists or num is None:
        raise InputError(
            "--foreground-names, --background-names, --per-foreground: are needed where no split is named (test or train)"
        )
    try:
        images = plan(inputs, *lists, num, options.name)
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--name {options.name}: knows {{foreground}}, {{k}} and {{n}} alone") from None
    manifest = compose(images, inputs, options.out, options.processes)
    print(f"{manifest['num_composed']} images composed, {manifest['num_images']} in {options.out}")
    print(f"manifest: {options.out / MANIFEST} (sha256 {manifest['sha256'][:16]})")
    return 0


def _add_inputs(result: argparse.ArgumentParser) -> None:
    result.add_argument(
        "--root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the folder that foregrounds and mattes lie in",
    )
    result.add_argument("--background", type=Path, metavar="DIR", help="the folder of the backgrounds")
    result.add_argument(
        "--foreground",
        metavar="PLACE",
        help="folder or pattern of the foregrounds (default: as Adobe's archive has them)",
    )
    result.add_argument("--alpha", metavar="PLACE", help="folder or pattern of their mattes")


def _inputs(options: argparse.Namespace) -> Any:
    from deepmatte.data.composition1k.manifest import find_inputs

    if options.background is None:
        raise InputError(
            "--background: is missing; give the folder of the backgrounds, such as VOCdevkit/VOC2012/JPEGImages"
        )
    pattern = _ADOBE[getattr(options, "split", None) or "test"][0]
    return find_inputs(
        options.root,
        options.foreground or pattern.format("fg"),
        options.alpha or pattern.format("alpha"),
        options.background,
    )


def _report_skipped(source: Any) -> None:
    problems = getattr(source, "problems", [])
    if problems:
        print(f"{len(problems)} files were skipped; `deepmatte data verify` lists them", file=sys.stderr)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of 1 or more")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number")
    return int(text)
