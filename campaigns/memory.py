"""Pictures of 1 x 1 to 40,000 x 40,000 pixels, and files that promise more than they hold.

Each goes through the verbs that read pictures (`VERBS`) in a process of its own. A picture
within the limit of pixels is read, or refused in one line; one beyond it is refused before any memory is
taken for it. The bound is in bytes a pixel of what may be read, beside what the process has at its start.
"""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from PIL import Image
from tiny_run import compose

from campaigns.campaign import Tally, kind_of, parser, rounds, scratch
from campaigns.isolation import isolated
from deepmatte.data.sources.decoding import MAX_PIXELS
from deepmatte.errors import InputError, RunError

SECONDS = 900.0
"""Processor time that one picture may take."""
BYTES = {
    **{"score": 900, "predict": 900, "trimap": 100, "colours": 300},
    **{"evaluate": 1200, "data verify": 80},
}
"""The most that a verb may take for a pixel, with one picture in work; measured, with a reserve of a half."""

MORE_MB = 400
"""The most that a picture that is refused may take, and that small ones do."""

SIDES = (1, 2, 3, 7, 16, 33, 64, 255, 256, 257, 640, 1024)
LONG = ((1, 20_000), (20_000, 1), (2, 65_000), (40_000, 3))
LARGE = ((13_038, 13_039), (13_040, 13_040), (20_000, 20_000), (40_000, 40_000), (65_535, 65_535))
"""The first is just within the limit, which is 170 million pixels; it is tried with ``--large`` only."""


# ---- pictures ----------------------------------------------------------------------------------------------


def whole_png(path: Path, width: int, height: int) -> None:
    """Write a whole grey PNG of any size: a ramp in its first rows, then zeros, packed row by row."""
    packer = zlib.compressobj(1)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        ramp = b"\0" + (np.arange(width) % 256).astype(np.uint8).tobytes()
        empty = bytes(1 + width)
        for row in range(height):
            if piece := packer.compress(ramp if row < 64 else empty):
                _chunk(file, b"IDAT", piece)
        _chunk(file, b"IDAT", packer.flush())
        _chunk(file, b"IEND", b"")


def _chunk(file: io.BufferedWriter, name: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))


def promised(path: Path, width: int, height: int, rng: random.Random) -> None:
    """Write a small file whose header promises ``width`` x ``height`` pixels."""
    kind = {".png": "PNG", ".jpg": "JPEG", ".tif": "TIFF", ".bmp": "BMP", ".webp": "WEBP"}[path.suffix]
    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16), rng.randrange(256), np.uint8)).convert("RGB").save(buffer, kind)
    content = bytearray(buffer.getvalue())
    if kind == "PNG":
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif kind == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", min(height, 65_535), min(width, 65_535))
    elif kind == "BMP":
        content[18:26] = struct.pack("<ii", width, height)
    elif kind == "TIFF":
        for tag, value in ((256, width), (257, height)):
            at = content.index(struct.pack("<HH", tag, 3)) if struct.pack("<HH", tag, 3) in content else -1
            if at >= 0:
                content[at : at + 12] = struct.pack("<HHII", tag, 4, 1, value)
    else:
        at = content.index(b"VP8 ") + 14
        content[at : at + 4] = struct.pack("<HH", min(width, 16_383), min(height, 16_383))
    path.write_bytes(bytes(content))


def draw(folder: Path, rng: random.Random, large: bool) -> tuple[str, int]:
    """Write one picture into ``folder``; return what it is, and how many pixels of it may be read."""
    kind = rng.choice(("small", "small", "long", "promise", "promise", "beyond"))
    if kind == "small":
        width, height = rng.choice(SIDES), rng.choice(SIDES)
    elif kind == "long":
        width, height = rng.choice(LONG)
    else:
        width, height = rng.choice(LARGE[0 if large else 1 :])
    path = folder / "a.png"
    if kind == "promise":
        path = folder / f"a{rng.choice(('.png', '.jpg', '.tif', '.bmp', '.webp'))}"
        promised(path, width, height, rng)
        return f"promise{path.suffix}", 16_383**2 if path.suffix == ".webp" else 0
    whole_png(path, width, height)
    return kind, width * height


# ---- verbs -------------------------------------------------------------------------------------------------


def score(folder: Path) -> int:
    """Score a picture against itself."""
    from deepmatte.cli.main import call

    place = str(folder / "a.*")
    return call("score", ["--pred", place, "--alpha", place, "--protocol", "whole", "--processes", "1"])


def predict(folder: Path) -> int:
    """Matte a picture by the trivial method, with itself as trimap."""
    from deepmatte.cli.main import call

    file = str(next(folder.glob("a.*")))
    return call("predict", ["--method", "trivial", file, "--trimap", file, "--out", str(folder / "out")])


def trimap(folder: Path) -> int:
    """Make a trimap of a picture, with itself as mask."""
    from deepmatte.cli.main import call

    file = str(next(folder.glob("a.*")))
    return call("trimap", [file, "--mask", file, "--out", str(folder / "out")])


def colours(folder: Path) -> int:
    """Cut a picture out, with itself as matte."""
    from deepmatte.cli.main import call

    file = str(next(folder.glob("a.*")))
    return call("colours", [file, "--alpha", file, "--out", str(folder / "out")])


def evaluate(folder: Path) -> int:
    """Score the trivial method on a folder of one picture."""
    from deepmatte.cli.main import report
    from deepmatte.scoring.evaluate import evaluate as score_all

    words = [
        "method=trivial",
        "data=folder",
        f"data.root={folder}",
        "data.num_workers=0",
        f"output={folder / 'out'}",
    ]
    names = "{image: '*.*', alpha: '*.*'}"
    try:
        score_all(compose("evaluate", [*words, f"+data.source.test={names}"]))
    except (InputError, RunError) as error:
        report(error)
        return 2
    return 0


def verify(folder: Path) -> int:
    """Verify a folder of one picture."""
    from deepmatte.cli.main import call

    test = "+data.source.test={image: '*.*', alpha: '*.*'}"
    return call("data", ["verify", "data=folder", f"data.root={folder}", test, "--processes", "1"])


VERBS: dict[str, Callable[[Path], int]] = {
    "score": score,
    "predict": predict,
    "trimap": trimap,
    "colours": colours,
    "evaluate": evaluate,
    "data verify": verify,
}


# ---- the campaign ------------------------------------------------------------------------------------------


def attempt(verb: str, folder: Path) -> dict[str, str]:
    """Give the picture of a folder to a verb; return how it ended, and what was printed as errors."""
    os.chdir(folder)
    printed = io.StringIO()
    try:
        with redirect_stderr(printed), redirect_stdout(io.StringIO()):
            code = VERBS[verb](folder)
    except Exception as error:
        return {"how": "raised", "told": f"{kind_of(error)}: {error}"}
    lines = [line for line in printed.getvalue().splitlines() if line.startswith("deepmatte: ")]
    return {"how": "read" if code == 0 else "refused", "told": "\n".join(lines), "code": str(code)}


def main(argv: list[str]) -> int:
    """Run the campaign; return 1 where there was a fault."""
    options_of = parser("memory", str(__doc__), 40, "pictures")
    options_of.add_argument("--large", action="store_true", help="also 170 million pixels, which are read")
    options_of.add_argument("--verb", choices=tuple(VERBS), action="append", help="this verb alone")
    options = options_of.parse_args(argv)
    tally = Tally.of("memory", "pictures", options)
    verbs = list(options.verb or VERBS)
    import deepmatte.cli.data
    import deepmatte.scoring.evaluate
    import deepmatte.scoring.photographs.predict  # noqa: F401

    most = 0.0
    for number, _ in rounds(options):
        rng = random.Random(options.seed * 1_000_003 + number)
        verb = verbs[number % len(verbs)]
        with scratch() as folder:
            what, pixels = draw(folder, rng, options.large)
            base = isolated(lambda beat: None, SECONDS).peak_mb
            ended = isolated(lambda beat, v=verb, f=folder: attempt(v, f), SECONDS)
            tally.tried[f"{verb} {what}"] += 1
            readable = pixels if pixels <= MAX_PIXELS else 0
            bound = MORE_MB + BYTES[verb] * readable / 2**20
            taken = ended.peak_mb - base
            most = max(most, taken if not readable else 0.0)
            again = f"python -m campaigns.memory --seed {options.seed} --count {number + 1} --verb '{verb}'"
            problem = _problem(ended, taken, bound)
            if problem:
                tally.fault(f"{verb} {what}: {problem[:60]}", f"{problem}\n{again}", folder)
            else:
                tally.ended[ended.result["how"]] += 1
    print(f"  at most {most:.0f} MB for a picture that is refused or small")
    return tally.finish()


def _problem(ended: object, taken: float, bound: float) -> str:
    """Return what is wrong with how a verb ended, nothing if it read or refused the picture."""
    from campaigns.isolation import Ended

    assert isinstance(ended, Ended)
    if not ended.is_well:
        return f"the verb {ended}"
    result = ended.result
    if result["how"] == "raised":
        return str(result["told"])
    if result["how"] == "refused" and result["code"] != "1" and result["told"].count("\n") != 0:
        return f"not one line: {result['told']}"
    return f"{taken:.0f} MB, the bound is {bound:.0f} MB" if taken > bound else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
