"""Writes the records of finished runs and evaluations with pictures, as a study reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

METRICS = ("sad", "mse", "grad", "conn", "miou")


def write_record(
    path: Path, sad: float, digest: str = "d1", overrides: tuple[str, ...] = (), seed: int = 0, **more: object
) -> Path:
    """A finished run or evaluation of six images, each with two pictures."""
    (path / "pictures" / "test").mkdir(parents=True)
    scores = sad + np.arange(6) / 10
    dataset = {"name": "procedural", "version": "1", "split": "test", "digest": digest, "num_images": 6}
    result = {
        "status": "finished",
        "seed": seed,
        "overrides": [*overrides, f"seed={seed}"],
        "protocol": "adobe",
        "metrics_version": "1",
    }
    result |= {
        "dataset": dataset,
        "cost": {"seconds": 60.0},
        "git_commit": "abc",
        "machine": "two cores",
        "experiment": "small",
        "notes": {},
    }
    result["scores"] = {
        f"{prefix}test/{metric}": float(scores.mean()) for metric in METRICS for prefix in ("", "trivial/")
    }
    (path / "result.json").write_text(json.dumps(result | more))
    rows = [",".join(["image", "foreground", "category", *METRICS])]
    rows += [
        ",".join([f"{i}", f"f{i}", ("hair", "glass")[i % 2], *[f"{score}"] * 5])
        for i, score in enumerate(scores)
    ]
    (path / "per_image.csv").write_text("\n".join(rows) + "\n")
    curves = "epoch,step,train/loss,val/loss\n0,0,4,\n0,1,2,\n0,1,,5\n1,2,1,\n1,3,,3\n"
    (path / "metrics.csv").write_text(curves)
    for name in ("0", "3"):
        for part in ("image", "trimap", "alpha", "matte"):
            Image.fromarray(np.full((9, 12, 3) if part == "image" else (9, 12), 128, np.uint8)).save(
                path / f"pictures/test/{name}_{part}.png"
            )
    return path
