"""Write the documentation page of the losses: ``python -m deepmatte.losses.page tests/losses > docs/losses.md``.

The page is made of the functions' docstrings and signatures, of values that are computed while it is written, and of the claims
that the tests are named after; so it can't say anything else than the code does.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path

import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.table import LOSSES, Term

PARTS = ("Formula", "Source", "Optimises", "Proper", "Use", "Cost")
"""What each docstring says, in this order, after its first line."""

HEAD = """# Losses

<!-- Written by `python -m deepmatte.losses.page tests/losses > docs/losses.md`; a test compares. Change the docstrings instead. -->

Every term is a function `(matte, batch, **options) -> scalar`, a row of `conf/loss/table.yaml` and a column `train/loss/NAME`. All
terms are off (`weight: 0`) and are then not computed; presets in `conf/loss/` switch some on. p is the predicted alpha, t the true
one, both in [0, 1]; the mean is over a `region` of the trimap, of the global batch under DDP too.

A term is **proper** when no prediction costs less than the true matte, also where alpha is fractional. The classification and
overlap losses were written for hard labels; their published formulas prefer a wrong matte (below), so `form: proper` is the default
and `form: textbook` is kept for study.
"""

NO_CONNECTIVITY = """## Why there is no connectivity term

Conn compares, at each pixel, how far p and t rise above the level l at which the pixel is still joined, in both mattes, to the
largest common component; what stays below 0.15 is free. Where foreground is missing (p < t), l is p rounded down to tenths: p itself
stays within the free 0.15, so moving p a little changes nothing, and the metric changes only by jumps of l. Its derivative is
therefore 0 almost everywhere exactly where foreground is missing, and a loss with that derivative would learn to erase only. If the
tenths are made continuous, l becomes min(p, t) and the price |p - t| with a dead zone: nothing that `alpha` does not ask for. So no
sound surrogate adds anything, and none is shipped.
"""


def page(tests: Path | None = None) -> str:
    """Return the page as Markdown; ``tests`` is the folder whose claims it lists."""
    parts = [HEAD, overview(), *(section(name, term) for name, term in LOSSES.items()), forms(), corrections(), NO_CONNECTIVITY]
    return "\n".join([*parts, *([claims(tests)] if tests else [])])


def described(term: Term) -> dict[str, str]:
    """Split a term's docstring into its summary and its `PARTS`."""
    text = (inspect.getdoc(term.function) or "").partition("\n>>>")[0]
    pieces = re.split(rf"^({'|'.join(PARTS)}): ", text, flags=re.MULTILINE)
    values = [" ".join(piece.split()) for piece in pieces]
    return {"Summary": values[0], **dict(zip(values[1::2], values[2::2], strict=True))}


def overview() -> str:
    """Return the table of all terms."""
    lines = ["| term | kind | what it measures |", "|---|---|---|"]
    lines += [f"| [`{name}`](#{name}) | {term.kind} | {described(term)['Summary']} |" for name, term in LOSSES.items()]
    return "\n".join(lines) + "\n"


def section(name: str, term: Term) -> str:
    """Return what is to be said about one term."""
    text = described(term)
    options = ", ".join(f"`{option}: {_yaml(value)}`" for option, value in term.defaults.items())
    lines = [f"## {name}", "", f"{text['Summary']} Kind: {term.kind}.", ""]
    lines += [f"- **{part}:** {text[part]}" for part in PARTS]
    return "\n".join([*lines, f"- **Options:** {options}", ""])


def _yaml(value: object) -> str:
    return "null" if value is None else str(value)


def two_pixels(*alpha: float) -> Tensor:
    """Return a matte (1, 1, 1, 2) of two pixels, in double precision."""
    return torch.tensor(alpha, dtype=torch.float64).view(1, 1, 1, 2)


def cost(name: str, predicted: Tensor, true: Tensor, **options: object) -> float:
    """Return the value of a term, every pixel unknown."""
    batch = Batch(alpha=true, trimap=torch.full(true.shape, 128, dtype=torch.uint8))
    return float(LOSSES[name].function(Matte(predicted), batch, **options))


def forms() -> str:
    """Return the comparison of the proper with the textbook forms on two fractional pixels."""
    truth, rivals = (
        two_pixels(0.8, 0.4),
        {"(1, 0)": two_pixels(1, 0), "(0.9, 0.5)": two_pixels(0.9, 0.5), "(0.9, 0.4)": two_pixels(0.9, 0.4)},
    )
    lines = ["## Proper and textbook forms", "", "Two pixels with true alpha (0.8, 0.4), `smooth: 0`, bce with `positive_weight: 2.5`."]
    lines += ["The cheapest prediction is set in bold: a proper form never prefers another one to the truth.", ""]
    lines += [f"| term | form | the truth | {' | '.join(rivals)} |", "|---|---|---|" + "---|" * len(rivals)]
    for name, term in LOSSES.items():
        if "form" not in term.defaults:
            continue
        options = {key: value for key, value in (("smooth", 0.0), ("positive_weight", 2.5)) if key in term.defaults}
        for form in ("proper", "textbook"):
            values = [cost(name, p, truth, form=form, **options) for p in (truth, *rivals.values())]
            shown = [f"**{value:.4f}**" if value == min(values) else f"{value:.4f}" for value in values]
            lines.append(f"| {name} | {form} | {' | '.join(shown)} |")
    return "\n".join([*lines, ""])


def corrections() -> str:
    """Return what is often told wrongly about these losses, each with its proof in numbers."""
    true, other, disjoint = two_pixels(1, 0), two_pixels(0.7, 0.2), two_pixels(0, 1)
    dice, jaccard = (1 - cost(name, other, true, smooth=0) for name in ("dice", "jaccard"))
    sure = two_pixels(0.9, 0.9)
    sure_cost, wrong_cost = cost("bce", sure, two_pixels(0, 0)), cost("bce", sure, two_pixels(1, 1))
    nearly = two_pixels(0.95, 0.95), two_pixels(1, 1)
    return f"""## Often told wrongly

- *"A Dice loss of 1 is a perfect match."* The Dice **loss** is one minus the Dice index. A perfect match costs
  {cost("dice", true, true, smooth=0):g}, two mattes that have nothing in common {cost("dice", disjoint, true, smooth=0):g}.
- *"Dice is the IoU."* Dice is 2J/(1+J) of the IoU J. For t = (1, 0) and p = (0.7, 0.2), J = {jaccard:.4f} and
  Dice = {dice:.4f} = 2 x {jaccard:.4f} / (1 + {jaccard:.4f}).
- *"Weighted cross-entropy is -w t log p - (1 - t) log p."* The second term has log(1 - p). For t = 0 and p = 0.9 it costs
  -log(0.1) = {sure_cost:.4f}; with log p it would cost {wrong_cost:.4f}, and less the more wrong p is.
- *"With p = 0.95 and gamma = 2 the focal factor is 0.05, or 0.9025."* It is (1 - 0.95)^2 = {(1 - 0.95) ** 2:.4f}: for t = 1 focal
  costs {cost("focal", *nearly):.3e} there, and bce {cost("bce", *nearly):.3e}, 400 times as much.
"""


def claims(tests: Path) -> str:
    """Return the claims that the tests of the losses are named after, by file."""
    lines = ["## What the tests show", ""]
    for path in sorted(tests.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lines.append(f"`{tests.name}/{path.name}`: {ast.get_docstring(tree)}")
        lines.append("")
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        lines += [f"- {name.removeprefix('test_').replace('_', ' ')}" for name in names]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(Path(sys.argv[1]) if len(sys.argv) > 1 else None), end="")
