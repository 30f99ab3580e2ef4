"""Small trees of pictures in the layouts in which the published data sets unpack."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from small_pictures import photograph, soft_matte

SIZE = (40, 56)


def save(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def pair(colours: Path, alpha: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    save(colours, photograph(*size, seed=seed))
    matte = soft_matte(*size, seed=seed)
    save(alpha, np.dstack([matte] * 3) if alpha.suffix == ".jpg" else matte)


def trimap(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    matte = soft_matte(*size, seed=seed)
    grown = np.where(matte == 255, 255, np.where(matte == 0, 0, 128)).astype(np.uint8)
    save(path, grown)


def backgrounds(folder: Path, names: tuple[str, ...] = tuple(f"place {i}" for i in range(20))) -> None:
    for i, name in enumerate(names):
        save(folder / f"{name}.jpg", photograph(44, 60, seed=900 + i))


def composition1k(root: Path) -> dict[str, str]:
    """431 and 50 in the real archive; colours and mattes for training are JPEG files, in two folders."""
    train = root / "Training_set"
    names = []
    for folder, words in (
        ("Adobe-licensed images", ("boy-1", "cat_2", "elephant-3", "girl-6")),
        ("Other", ("14_8", "antique-4", "web_5")),
    ):
        for word in words:
            pair(
                train / folder / "fg" / f"{word}.jpg",
                train / folder / "alpha" / f"{word}.jpg",
                seed=len(names),
            )
            names.append(word)
    (train / "training_fg_names.txt").write_text("".join(f"{name}.jpg\n" for name in names))
    coco = [f"COCO_train2014_{i:012d}" for i in range(14)]
    backgrounds(root / "train2014", (*coco, "COCO_train2014_999999999999"))
    (train / "training_bg_names.txt").write_text("".join(f"{name}.jpg\n" for name in coco))
    test = root / "Test_set" / "Adobe-licensed images"
    for i, word in enumerate(("dandelion", "light_1")):
        pair(test / "fg" / f"{word}.png", test / "alpha" / f"{word}.png", seed=40 + i)
        for k in range(2):
            trimap(test / "trimaps" / f"{word}_{k}.png", seed=40 + i)
            save(root / "Test_set" / "merged" / f"{word}_{k}.png", photograph(*SIZE, seed=50 + 2 * i + k))
    (root / "Test_set" / "test_fg_names.txt").write_text("dandelion.png\nlight_1.png\n")
    voc = tuple(f"2008_{i:06d}" for i in range(4))
    backgrounds(root / "VOC2008" / "JPEGImages", voc)
    (root / "Test_set" / "test_bg_names.txt").write_text("".join(f"{name}.jpg\n" for name in voc))
    return {"background": str(root / "train2014")}


def distinctions646(root: Path) -> dict[str, str]:
    for split, folder, num in (("train", "Train", 8), ("test", "Test", 2)):
        for i in range(num):
            names = [root / folder / kind / f"{split}_{i}.png" for kind in ("FG", "GT")]
            pair(*names, seed=60 + i + 10 * (split == "test"))
    backgrounds(root / "coco")
    return {"background": str(root / "coco")}


def aisegment(root: Path) -> dict[str, str]:
    for i in range(12):
        date, clip, name = f"180{i % 3}151818", f"0000000{i % 2}", f"180{i % 3}151818-0000{i:04d}"
        colours, matte = photograph(40, 30, seed=i), soft_matte(40, 30, seed=i)
        save(root / "clip_img" / date / f"clip_{clip}" / f"{name}.jpg", colours)
        save(root / "matting" / date / f"matting_{clip}" / f"{name}.png", np.dstack([colours, matte]))
    (root / "matting" / "1801151818" / "._matting_00000000").write_text("what one of the archives contains")
    backgrounds(root / "bg")
    return {"background": str(root / "bg")}


def am2k(root: Path) -> dict[str, str]:
    for i in range(8):
        pair(root / "train/original" / f"m_{i:08x}.jpg", root / "train/mask" / f"m_{i:08x}.png", seed=i)
    for i in range(8, 10):
        pair(
            root / "validation/original" / f"m_{i:08x}.jpg",
            root / "validation/mask" / f"m_{i:08x}.png",
            seed=i,
        )
        trimap(root / "validation/trimap" / f"m_{i:08x}.png", seed=i)
    backgrounds(root / "BG-20k" / "train")
    return {"background": str(root / "BG-20k" / "train")}


def p3m10k(root: Path) -> dict[str, str]:
    for i in range(8):
        pair(root / "train/blurred_image" / f"p_{i:08x}.jpg", root / "train/mask" / f"p_{i:08x}.png", seed=i)
    for subset, kind in (("P3M-500-P", "blurred_image"), ("P3M-500-NP", "original_image")):
        folder = root / "validation" / subset
        pair(folder / kind / "p_0000000a.jpg", folder / "mask" / "p_0000000a.png", seed=20 + len(kind))
        trimap(folder / "trimap" / "p_0000000a.png", seed=20 + len(kind))
    backgrounds(root / "bg")
    return {"background": str(root / "bg")}


def ppm100(root: Path) -> dict[str, str]:
    for i in range(3):
        pair(root / "image" / f"{i}_a.jpg", root / "matte" / f"{i}_a.jpg", seed=i)
    return {}


def aim500(root: Path) -> dict[str, str]:
    for i in range(3):
        pair(root / "original" / f"o_{i:08x}.jpg", root / "mask" / f"o_{i:08x}.png", seed=i)
        trimap(root / "trimap" / f"o_{i:08x}.png", seed=i)
    return {}


def alphamatting(root: Path) -> dict[str, str]:
    for i in range(1, 4):
        pair(root / "image" / f"GT{i:02d}.png", root / "alpha" / f"GT{i:02d}.png", seed=i)
        for folder in ("trimap_tight", "trimap_loose"):
            trimap(root / folder / f"GT{i:02d}.png", seed=i)
    return {}


def captured(root: Path) -> dict[str, str]:
    for i in range(1, 4):
        plate, alpha = photograph(*SIZE, seed=60 + i), soft_matte(*SIZE, seed=i)
        share = alpha[..., None] / 255
        image = np.round(share * photograph(*SIZE, seed=i) + (1 - share) * plate).astype(np.uint8)
        save(root / "image" / f"scene {i}.jpg", image, quality=95)
        save(root / "alpha" / f"scene {i}.png", alpha)
        save(root / "captured" / f"scene {i}.jpg", plate, quality=95)
    return {}


def alphamatting_lowres(root: Path) -> dict[str, str]:
    for i in range(1, 4):
        pair(
            root / "input_training_lowres" / f"GT{i:02d}.png",
            root / "gt_training_lowres" / f"GT{i:02d}.png",
            seed=i,
        )
        for folder in ("Trimap1", "Trimap2"):
            trimap(root / "trimap_training_lowres" / folder / f"GT{i:02d}.png", seed=i)
    return {}


def videomatte(root: Path) -> dict[str, str]:
    for split, clips in (("train", 9), ("test", 1)):
        for clip in range(clips):
            for frame in range(3):
                path = f"{clip:04d}/{frame:05d}.jpg"
                pair(
                    root / split / "fgr" / path,
                    root / split / "pha" / path,
                    seed=100 * (split == "test") + 10 * clip + frame,
                )
    backgrounds(root / "bg")
    return {"background": str(root / "bg")}


def cutouts(root: Path) -> dict[str, str]:
    for i in range(12):
        path = root / "rgba" / f"set {i % 2}" / f"cut-out {i}.png"
        save(path, np.dstack([photograph(*SIZE, seed=i), soft_matte(*SIZE, seed=i)]))
    backgrounds(root / "bg")
    return {"root": str(root / "rgba"), "background": str(root / "bg")}


def folder(root: Path) -> dict[str, str]:
    for i in range(12):
        pair(root / "fg" / f"{i}.jpg", root / "alpha" / f"{i}.png", seed=i)
    backgrounds(root / "bg")
    return {}


TREES: dict[str, Callable[[Path], dict[str, str]]] = {
    "composition1k": composition1k,
    "distinctions646": distinctions646,
    "aisegment": aisegment,
    "am2k": am2k,
    "p3m10k": p3m10k,
    "p3m10k_np": p3m10k,
    "ppm100": ppm100,
    "aim500": aim500,
    "alphamatting": alphamatting,
    "alphamatting_lowres": alphamatting_lowres,
    "captured": captured,
    "videomatte": videomatte,
    "cutouts": cutouts,
    "folder": folder,
}
"""By the YAML file's name; each makes its tree and returns the ``data`` keys that the file leaves open."""
