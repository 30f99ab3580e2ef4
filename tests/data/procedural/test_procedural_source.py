import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from deepmatte.data.procedural import CHECKSUMS, ProceduralData, render
from deepmatte.data.procedural.names import SPLITS
from deepmatte.data.sources import protocols as sources
from deepmatte.errors import InputError

SMALL = {"size": 64, "num_train": 5, "num_val": 3, "num_test": 4}
SAMPLES = {  # SHA-256 (16 digits) of 512-pixel samples of the default test split
    ("foreground", 0): "6ca19656b8652874",
    ("foreground", 2): "cd3311417ca7b832",
    ("foreground", 3): "65d594d3f6d788ef",
    ("background", 0): "c56a44fc425ee810",
    ("background", 5): "0b79d2c3e6f36a8c",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    source = ProceduralData(**SMALL, cache_dir=tmp_path_factory.mktemp("procedural"))
    assert source.prepare(progress=False) == 24
    return source


def digits(*arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:16]


@pytest.mark.parametrize(("what", "index"), sorted(SAMPLES))
def test_rendered_samples_have_the_committed_checksums(what, index):
    drawn = getattr(render, what)(0, "test", index, 512)
    assert digits(*(drawn if isinstance(drawn, tuple) else (drawn,))) == SAMPLES[what, index]


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_default_splits_have_the_committed_checksums(tmp_path, split):
    assert ProceduralData(cache_dir=tmp_path).digest((split,)) == CHECKSUMS[split]


def test_source_satisfies_the_protocols(data):
    assert isinstance(data, sources.CompositionSource)
    assert isinstance(data.foregrounds("train"), sources.ForegroundSet)
    assert isinstance(data.foregrounds("train"), sources.KnowsSizes)
    assert isinstance(data.backgrounds("train"), sources.BackgroundSet)
    assert isinstance(data.backgrounds("train"), sources.HasDigest)


def test_configuration_names_the_arguments_and_their_defaults():
    config = OmegaConf.load(Path(__file__).parents[3] / "conf/data/procedural.yaml").source
    target = config.pop("_target_")
    assert target == "deepmatte.data.procedural.ProceduralData"
    default = ProceduralData()
    made = ProceduralData(**config)
    for value in (made, default):
        assert (value.num, value.seed, value.size) == ({"train": 96, "val": 16, "test": 32}, 0, 512)
    assert made.store.folder == default.store.folder


def test_a_sample_depends_on_seed_split_and_index_alone(data, tmp_path):
    again = ProceduralData(**{**SMALL, "num_train": 7}, cache_dir=tmp_path).foregrounds("train")
    for index in (4, 1):  # different order, number of samples and folder
        for ours, theirs in zip(data.foregrounds("train").load(index), again.load(index), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    other = ProceduralData(**SMALL, seed=1, cache_dir=tmp_path)
    assert not np.array_equal(other.foregrounds("train").load(1)[0], again.load(1)[0])


def test_splits_share_no_foreground_no_background_and_no_name(data):
    sets = [s for split in SPLITS for s in (data.foregrounds(split), data.backgrounds(split))]
    names = [name for s in sets for name in s.names]
    pixels = {s.checksum(i) for s in sets for i in range(len(s))}
    assert len(names) == len(set(names)) == len(pixels) == 24


def test_arrays_have_the_documented_shapes_and_types(data):
    colour, alpha = data.foregrounds("test").load(0)
    assert (colour.shape, alpha.shape) == ((64, 64, 3), (64, 64))
    assert colour.dtype == alpha.dtype == np.uint8
    assert data.backgrounds("test").load(0).shape == (64, 64, 3)
    assert data.foregrounds("test").category(0) == "hair"
    assert data.foregrounds("test").names[0] == "hair_test_0000"


@pytest.mark.parametrize("damage", ["truncated", "altered", "header altered", "emptied", "another file"])
def test_a_damaged_file_is_rendered_again(data, damage):
    samples = data.foregrounds("val")
    before, path = samples.load(0), data.store.path(samples.names[0])
    content = path.read_bytes()
    at = {"altered": len(content) // 2, "header altered": 40}.get(damage, 0)
    changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    files = {"truncated": content[:-9], "emptied": b"", "another file": b"GIF89a" + bytes(300)}
    path.write_bytes(files.get(damage, changed))
    np.testing.assert_array_equal(samples.load(0)[0], before[0])
    assert path.read_bytes() == content


def test_two_concurrent_processes_share_one_folder(data, tmp_path):
    code = "import sys; from deepmatte.data.procedural import ProceduralData as Data; "
    code += "print(Data(0, 64, 3, 1, 1, sys.argv[1]).digest())"
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    expected = ProceduralData(0, 64, 3, 1, 1, data.store.folder.parent).digest()
    assert [out.strip() for out, _ in outputs] == [expected] * 2, outputs
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 10
    assert all(name.endswith(".npy") and not name.startswith(".") for name in files)


def test_cached_samples_are_not_rendered_again(data, monkeypatch):
    monkeypatch.setattr(render, "foreground", None)
    monkeypatch.setattr(render, "background", None)
    assert data.prepare(progress=False) == 0
    assert len(data.digest()) == 16


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"size": 32}, "data.source.size"),
        ({"num_val": 0}, "data.source.num_val"),
        ({"seed": -1}, "data.source.seed"),
    ],
)
def test_invalid_arguments_are_named(arguments, word):
    with pytest.raises(InputError, match=word):
        ProceduralData(**arguments)


def test_unknown_split_is_named(data):
    with pytest.raises(InputError, match="split dev does not exist; expected one of train, val, test"):
        data.foregrounds("dev")


def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match=r"cache_dir") as error:
        ProceduralData(**SMALL, cache_dir=blocked).foregrounds("train").load(0)
    assert str(blocked) in str(error.value)
    assert "\n" not in str(error.value)


def test_kinds_leave_the_others_out_and_every_foreground_has_the_background_that_it_had(
    procedural_cache: Path,
) -> None:
    size = {"size": 96, "num_train": 12, "num_val": 1, "num_test": 1, "cache_dir": procedural_cache}
    whole, some = ProceduralData(**size), ProceduralData(**{**size, "num_train": 4}, kinds=["glass", "net"])
    wanted = [2, 6, 18, 22]
    assert some.foregrounds("train").names == [
        f"{kind}_train_{number:04d}" for kind, number in zip(["glass", "net"] * 2, wanted, strict=True)
    ]
    assert [some.foregrounds("train").category(index) for index in range(4)] == ["glass", "net"] * 2
    for layer in ("foregrounds", "backgrounds"):
        few, all_of_them = getattr(some, layer)("train"), getattr(whole, layer)("train")
        for index, number in enumerate(wanted[:2]):
            for one, other in zip(few.arrays(index), all_of_them.arrays(number), strict=True):
                np.testing.assert_array_equal(one, other)
    for kinds in ([], ["glass", "wood"]):
        with pytest.raises(InputError, match=r"^data\.source\.kinds="):
            ProceduralData(kinds=kinds)
