"""`deepmatte data verify`: read every file and list every problem, or check composed images by a manifest."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from deepmatte.cli.data.compose import add_inputs, inputs_of
from deepmatte.cli.data.options import composed_config, overriding_parser, positive
from deepmatte.errors import InputError

MOST_PROBLEMS = 50
"""Images that differ from a manifest and are listed by name."""


def main(argv: list[str]) -> int:
    """List every problem; return 1 if there is any, or if a split can't be used."""
    result = overriding_parser(
        "verify",
        "Read every file of a data set and list every problem; or, with --manifest, check composed images "
        "pixel by pixel.",
    )
    result.add_argument(
        "--manifest", type=Path, metavar="FILE", help="manifest.json of `deepmatte data compose`"
    )
    result.add_argument(
        "--images", type=Path, metavar="DIR", help="the images to check (default: the manifest's folder)"
    )
    add_inputs(result)
    result.add_argument(
        "--processes", type=positive, metavar="N", help="how many files at once (default: one for each core)"
    )
    options = result.parse_intermixed_args(argv)
    if options.manifest is not None:
        return _verify_manifest(options)
    config = composed_config(options.overrides)
    _skip_errors(config.data)
    import logging

    from deepmatte.data.inspection.verify import verify
    from deepmatte.training.building.from_config import build_data

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
        raise InputError(f"data={data.source.name}: no split has anything to read")
    unusable = f"no {' and no '.join(verdict.unusable)} split; " if verdict.unusable else ""
    print(f"{unusable}{verdict.num_items} items read, {len(verdict.problems)} problems")
    return 1 if verdict.problems or verdict.unusable else 0


def _skip_errors(node: Any) -> None:
    """Let every source of files collect the problems of names and headers; it would stop at the first."""
    from omegaconf import DictConfig, OmegaConf, open_dict

    if isinstance(node, DictConfig):
        if node.get("_target_") == "deepmatte.data.FolderData":
            with open_dict(node):
                node.on_error = "skip"
        for key in node:
            if not OmegaConf.is_interpolation(node, str(key)) and not OmegaConf.is_missing(node, key):
                _skip_errors(node[key])


def _verify_manifest(options: argparse.Namespace) -> int:
    """Compare composed images with their manifest; say why the first one differs."""
    from deepmatte.data.composition1k.manifest import check_manifest, diagnose, read_manifest

    manifest = read_manifest(options.manifest)
    folder = options.images or options.manifest.parent
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; set --images to the folder of the images")
    problems = check_manifest(manifest, folder, options.processes)
    total = len(manifest["images"])
    if not problems:
        print(f"all {total} images match the manifest (sha256 {manifest['sha256'][:16]})")
        return 0
    first = next(record for record in manifest["images"] if record["image"] in problems)
    print(f"{folder / first['image']}: {problems[first['image']]}")
    if problems[first["image"]] == "differs":
        if options.background is None:
            print("  to learn why, add --root and --background, the folders it was composed from")
        else:
            print(f"  {diagnose(first, folder, inputs_of(options))}")
    for problem in list(problems)[1:MOST_PROBLEMS]:
        print(f"{folder / problem}: {problems[problem]}")
    print(f"{len(problems)} of {total} images do not match the manifest")
    return 1
