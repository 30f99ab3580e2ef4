"""Campaigns: hours of trying to break what deepmatte promises, for anybody to repeat.

`make campaign` runs all of them for a short while; ``python -m campaigns.NAME --help`` says what one of them
does. They share their tools with the tests, whose folder is therefore put on the path.
"""

import os
import sys
from pathlib import Path

for folder in ("tests", "tests/sweeps"):
    sys.path.append(str(Path(__file__).parents[1] / folder))
# One process is attacked at a time, by several campaigns side by side: threads would only be in the way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
