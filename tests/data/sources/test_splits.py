"""No foreground is in two splits: by hash, by list, by folders of their own."""

import shutil
from pathlib import Path

import pytest
from layout_trees import pair, save
from small_pictures import photograph

from deepmatte.cli.data import main
from deepmatte.data import Composition, FolderData
from deepmatte.data.inspection.verify import verify
from deepmatte.data.sources.splits import identity_rule, listed, read_names
from deepmatte.errors import InputError


def numbered(root: Path, names: list[str], size: tuple[int, int] = (24, 24)) -> Path:
    for i, name in enumerate(names):
        pair(root / "fg" / f"{name}.png", root / "alpha" / f"{name}.png", seed=i, size=size)
    for i in range(8):
        save(root / "bg" / f"b{i}.png", photograph(*size, seed=100 + i))
    return root


def names_in(source: FolderData, *splits: str) -> list[set[str]]:
    return [set(source.foregrounds(split).names) for split in splits]


def test_pictures_of_one_foreground_stay_together(tmp_path):
    root = numbered(
        tmp_path,
        [
            f"{animal}_{k}"
            for animal in ("cat", "dog", "elk", "fox", "gnu", "hen", "owl", "pig")
            for k in range(3)
        ],
    )
    source = FolderData(root, identity=r"(.+)_\d+", val_fraction=0.3, test_fraction=0.3)
    parts = [{name.split("_")[0] for name in part} for part in names_in(source, "train", "val", "test")]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 8
    together = FolderData(root, val_fraction=0.3, test_fraction=0.3)
    apart = [{name.split("_")[0] for name in part} for part in names_in(together, "train", "val", "test")]
    assert sum(map(len, apart)) > 8  # without the rule they do not


def test_eighty_to_twenty(tmp_path):
    root = numbered(tmp_path, [f"n{i}" for i in range(60)], size=(8, 8))
    train, val = names_in(FolderData(root, val_fraction=0.2, test_fraction=0), "train", "val")
    assert train.isdisjoint(val)
    assert len(train | val) == 60
    assert 4 <= len(val) <= 22  # 12 expected, three standard deviations


def test_given_lists_are_followed_and_what_is_listed_for_the_test_is_not_trained_on(tmp_path):
    root = numbered(tmp_path, list("abcdef"))
    (root / "test.txt").write_text("b.png\r\n\r\nfolder/e.jpg\n")
    source = FolderData(root, test={"names": "test.txt"}, val_fraction=0)
    assert names_in(source, "train", "test") == [{"a", "c", "d", "f"}, {"b", "e"}]
    (root / "train.txt").write_text("a\nc\n")
    source = FolderData(root, train={"names": "train.txt"}, test={"names": "test.txt"}, val_fraction=0)
    assert names_in(source, "train", "test") == [{"a", "c"}, {"b", "e"}]


def test_a_list_that_puts_one_foreground_into_two_splits_is_refused(tmp_path):
    root = numbered(tmp_path, list("abcdef"))
    (root / "test.txt").write_text("b\n")
    (root / "train.txt").write_text("a\nb\n")
    source = FolderData(root, train={"names": "train.txt"}, test={"names": "test.txt"}, val_fraction=0)
    with pytest.raises(InputError, match=r"b\.png: shows what the test split shows"):
        source.foregrounds("train")


def test_a_narrower_pattern_for_the_test_takes_its_files_out_of_training(tmp_path):
    """The wildcards of the two patterns spell different names for one file."""
    root = numbered(tmp_path, [f"n{i}" for i in range(12)])
    test = {"foreground": "fg/n1*.png", "alpha": "alpha/n1*.png"}
    source = FolderData(root, foreground="fg/n*.png", alpha="alpha/n*.png", test=test, val_fraction=0)
    files = {
        split: {group[0].name for group in source.foregrounds(split).files} for split in ("train", "test")
    }
    assert files["test"] == {"n1.png", "n10.png", "n11.png"}
    assert files["train"] == {f"n{i}.png" for i in (0, *range(2, 10))}


def test_copies_of_a_foreground_in_two_folders_are_refused_but_equal_names_are_not(tmp_path):
    root = numbered(tmp_path / "train", list("abc"))
    numbered(tmp_path / "test", list("abc"))
    for i, name in enumerate("abc"):
        pair(
            tmp_path / "test" / "fg" / f"{name}.png",
            tmp_path / "test" / "alpha" / f"{name}.png",
            seed=50 + i,
            size=(24, 24),
        )
    places = {split: {"foreground": f"{split}/fg", "alpha": f"{split}/alpha"} for split in ("train", "test")}
    source = FolderData(tmp_path, background="train/bg", val_fraction=0, test_fraction=0, **places)
    assert names_in(source, "train", "test") == [{"a", "b", "c"}] * 2
    shutil.copy(root / "fg" / "b.png", tmp_path / "test" / "fg" / "b.png")
    with pytest.raises(InputError, match=r"b\.png: shows what the test split shows"):
        FolderData(tmp_path, background="train/bg", val_fraction=0, test_fraction=0, **places).foregrounds(
            "train"
        )


def test_verify_finds_copies_under_other_names_in_another_split(tmp_path):
    numbered(tmp_path / "train", list("abc"))
    numbered(tmp_path / "test", list("xyz"))
    places = {split: {"foreground": f"{split}/fg", "alpha": f"{split}/alpha"} for split in ("train", "test")}
    source = FolderData(
        tmp_path, background="train/bg", val_fraction=0, test_fraction=0.2, on_error="skip", **places
    )
    problems = verify(source, processes=1).problems
    assert len(problems) == 3
    assert all(
        "is in test and shows the very pixels of" in problem and "which is in train" in problem
        for problem in problems
    )


def test_verify_wants_room_for_a_crop_of_what_is_trained_on_alone(tmp_path):
    root = numbered(tmp_path, [f"n{i}" for i in range(12)])
    source = FolderData(root, val_fraction=0.3, test_fraction=0.3)
    problems = verify(source, Composition(crop_sizes=[32], size=32), processes=1).problems
    assert [problem.split(": ")[0] for problem in problems] == [
        str(group[0]) for group in source.foregrounds("train").files
    ]
    assert all("24x24 pixels are too few for a crop of 32" in problem for problem in problems)


def test_lists_that_name_nothing_or_two_things_are_refused(tmp_path):
    (tmp_path / "l.txt").write_text("a\n")
    with pytest.raises(InputError, match=r"l\.txt: names a, but no picture has that name"):
        listed({"b": 1}, ["a"], tmp_path / "l.txt")
    with pytest.raises(InputError, match="x/a and y/a both have that name"):
        listed({"x/a": 1, "y/a": 2}, ["a"], tmp_path / "l.txt")
    for content, words in ((b"", "holds no names"), (b"\xff\xfe\x00", "no text in UTF-8")):
        (tmp_path / "l.txt").write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_names(tmp_path / "l.txt", "data.source.names")
    with pytest.raises(InputError, match="no such list"):
        read_names(tmp_path / "none.txt", "data.source.names")


def test_names_with_dots_and_folders_are_listed_as_they_are(tmp_path):
    """Only the suffix of a picture is no part of a name; a folder chooses between equal names."""
    items = dict.fromkeys(["Glas & Netz/x.y.z_0", "Glas & Netz/x.y", "Holz/x.y", "caf\u00e9"], 1)
    lines = ["Glas & Netz/x.y.z_0", "Holz\\x.y.PNG", "cafe\u0301"]
    assert set(listed(items, lines, tmp_path)) == {"Glas & Netz/x.y.z_0", "Holz/x.y", "caf\u00e9"}
    with pytest.raises(
        InputError, match=r"names x\.y, but Glas & Netz/x\.y and Holz/x\.y both have that name"
    ):
        listed(items, ["x.y"], tmp_path)
    root = numbered(tmp_path, ["a.b_0", "a.b_1", "c"])
    (root / "test.txt").write_text("a.b_0\n")
    assert names_in(FolderData(root, test={"names": "test.txt"}, val_fraction=0), "test") == [{"a.b_0"}]


def test_a_set_whose_training_split_can_not_be_used_is_not_verified(tmp_path, capsys):
    root = numbered(tmp_path, list("abcdef"))
    (root / "train.txt").write_text("a\nnobody\n")
    (root / "test.txt").write_text("b\n")
    words = [f"data.source.{split}={{names: {split}.txt}}" for split in ("train", "test")]
    recipe = [
        "composition.crop_sizes=[16]",
        "composition.size=16",
        "--processes",
        "1",
        "data.source.val_fraction=0",
        "data.source.test_fraction=0.4",
    ]
    assert main(["verify", "data=folder", f"data.root={root}", *words, *recipe]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("no train")
    assert any("train.txt: names nobody, but no picture has that name" in line for line in lines)
    (root / "train.txt").write_text("a\nc\n")
    assert main(["verify", "data=folder", f"data.root={root}", *words, *recipe]) == 0


def test_identity_rules_that_are_no_expression_are_refused():
    for pattern, words in (("(", "no regular expression"), ("[a-z]+", "needs a group")):
        with pytest.raises(InputError, match=words):
            identity_rule(pattern)


def test_unknown_keys_of_a_split_are_named(tmp_path):
    root = numbered(tmp_path, ["a"])
    with pytest.raises(
        InputError, match=r"data\.source\.test\.imge: there is no such key; a split has foreground, alpha"
    ):
        FolderData(root, test={"imge": "x"})
    with pytest.raises(InputError, match=r"data\.source\.test\.names=5: has to be a text"):
        FolderData(root, test={"names": 5})
