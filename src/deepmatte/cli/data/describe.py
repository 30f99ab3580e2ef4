"""`deepmatte data describe`: what a data set holds, and a contact sheet of it."""

from __future__ import annotations

from pathlib import Path

from deepmatte.cli.data.options import composed_config, overriding_parser, positive, report_skipped


def main(argv: list[str]) -> int:
    """Print a line per kind of picture and split, and draw a contact sheet; return 1 without pictures."""
    result = overriding_parser(
        "describe",
        "Summarise a data set: a line for each kind of picture and split, and a contact sheet.",
    )
    result.add_argument(
        "--out", type=Path, metavar="FILE", help="the contact sheet, a PNG (default: describe_NAME.png)"
    )
    result.add_argument(
        "--num",
        type=positive,
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
    from deepmatte.training.building.from_config import build_data

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
    report_skipped(source)
    if not rows:
        return 1
    out = options.out or Path(f"describe_{source.name}.png")
    write_png(out, contact_sheet(rows))
    print(f"contact sheet: {out}")
    return 0
