"""Build wheel and sdist, check them, install them where nothing else is, and use them there.

``python -m release [--out DIR] [--torch REQUIREMENT] [--no-tests]``; `make release` installs what it needs.
What it leaves in DIR can be published: both distributions, a bill of materials (CycloneDX) and checksums.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from deepmatte.files import write_text
from release.contents import complaints, sources
from release.environment import Environment, bill_of_materials, run_tests, use

ROOT = Path(__file__).parents[1]


def build(out: Path) -> tuple[Path, Path]:
    """Build both distributions into ``out``, the wheel from the sdist, and return (sdist, wheel)."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], check=True)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)], check=True)
    return sdist, wheel


def sums(files: list[Path]) -> str:
    """Return the files' SHA-256, as ``sha256sum --check`` reads them."""
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


def main(words: list[str]) -> int:
    """Make a release; return 1, and say why, where it may not be published."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="emptied first (default: dist)")
    parser.add_argument("--torch", default="torch", help="the build of torch to install")
    parser.add_argument("--no-tests", action="store_true", help="leave out the sdist's fast tests")
    options = parser.parse_args(words)
    sdist, wheel = build(options.out)
    found = [line for file in (sdist, wheel) for line in complaints(file, sources(ROOT))]
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    bill = options.out / f"{wheel.name.split('-py3')[0]}.cdx.json"
    with tempfile.TemporaryDirectory(prefix="deepmatte-release-") as folder:
        environment = Environment(Path(folder))
        environment.install(wheel, options.torch)
        use(environment, version=wheel.name.split("-")[1])
        bill_of_materials(environment, ROOT / "pyproject.toml", bill)
        if not options.no_tests:
            run_tests(environment, sdist, wheel)
    write_text(options.out / "SHA256SUMS", sums([sdist, wheel, bill]))
    print(f"{options.out}: ready to be published")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
