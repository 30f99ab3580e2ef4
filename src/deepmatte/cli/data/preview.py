"""`deepmatte data preview`: the very samples that training will see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepmatte.cli.data.options import composed_config, overriding_parser, positive, report_skipped, whole


def main(argv: list[str]) -> int:
    """Draw the samples with their captions."""
    result = overriding_parser(
        "preview",
        "Draw the very samples that training will see, in order, or those of validation or test.",
    )
    result.add_argument(
        "--out", type=Path, default=Path("preview.png"), metavar="FILE", help="a PNG (default: preview.png)"
    )
    result.add_argument(
        "--num", type=positive, default=16, metavar="N", help="how many samples (default: 16)"
    )
    result.add_argument(
        "--epoch", type=whole, default=0, metavar="E", help="of the training stream (default: 0)"
    )
    result.add_argument("--split", default="train", choices=("train", "val", "test"), help="(default: train)")
    options = result.parse_intermixed_args(argv)
    config = composed_config(options.overrides)
    from deepmatte.data.inspection.sheet import contact_sheet, row_of_sample
    from deepmatte.data.sources.images import write_png
    from deepmatte.training.building.from_config import build_data

    data = build_data(config)
    if hasattr(data.source, "prepare"):
        data.source.prepare([options.split])
    if options.split == "train":
        from deepmatte.data.samplers import StreamSampler

        sampler = StreamSampler(data.samples_per_epoch, data.batch_size)
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
    report_skipped(data.source)
    return 0
