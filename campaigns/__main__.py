"""All campaigns in turn, or the one that is named: ``python -m campaigns [NAME] [--minutes M] [--seed S] …``.

Without a length each takes its usual short one. The exit status is 1 where one of them found a fault.
"""

from __future__ import annotations

import subprocess
import sys

NAMES = ("fuzz", "hostile", "memory", "kills", "disks", "concurrency", "clocks", "server")


def main(words: list[str]) -> int:
    """Run the campaigns in processes of their own, with the options that all of them know."""
    if words and words[0] in ("-h", "--help"):
        print(f"{__doc__}\nThe campaigns are {', '.join(NAMES)}; each has its own --help.")
        return 0
    names = [words.pop(0)] if words and words[0] in NAMES else NAMES
    codes = [subprocess.run([sys.executable, "-m", f"campaigns.{name}", *words]).returncode for name in names]
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
