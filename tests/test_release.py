"""A release: its files agree with one another, and what may not be published is found."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import deepmatte
from release.contents import complaints, sources

ROOT = Path(__file__).parents[1]
SOMEBODYS = b"root: /%b/ann/pictures" % b"home"  # not as one word, since this file is in the sdist
PNG = b"\x89PNG\r\n\x1a\n"
TRACKED = [
    "pyproject.toml",
    "src/deepmatte/__init__.py",
    "conf/train.yaml",
    "experiments/stages.yaml",
    "experiments/stages/loss.png",
]
WHEEL = {
    "deepmatte/__init__.py": b"",
    "deepmatte/conf/train.yaml": b"name: train",
    "deepmatte/experiments/stages.yaml": b"",
    "deepmatte/experiments/stages/loss.png": PNG,
    "deepmatte-1.0.dist-info/METADATA": b"Name: deepmatte",
}


def wheel(folder: Path, content: dict[str, bytes]) -> Path:
    file = folder / "deepmatte-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file


def sdist(folder: Path, content: dict[str, bytes]) -> Path:
    file = folder / "deepmatte-1.0.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"deepmatte-1.0/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file


def test_whole_distributions_have_nothing_to_complain_of(tmp_path: Path) -> None:
    assert complaints(wheel(tmp_path, WHEEL), TRACKED) == []
    content = {name: PNG if name.endswith(".png") else b"" for name in TRACKED}
    assert complaints(sdist(tmp_path, {**content, "PKG-INFO": b""}), TRACKED) == []


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("deepmatte/conf/train.yaml", None, "lacks deepmatte/conf/train.yaml"),
        ("deepmatte/conf/mine.yaml", b"", "deepmatte/conf/mine.yaml: is not under version control"),
        ("deepmatte/__pycache__/a.pyc", b"", "deepmatte/__pycache__/a.pyc: is made, not written"),
        ("deepmatte/conf/train.yaml", SOMEBODYS, "path of a machine, /home/" + "ann"),
        ("deepmatte/conf/train.yaml", bytes(2**20 + 1), "deepmatte/conf/train.yaml: has 1.0 MiB"),
        ("deepmatte/cat.jpg", b"\xff\xd8", "deepmatte/cat.jpg: is a picture, but no figure of an experiment"),
        ("deepmatte/experiments/stages/loss.png", PNG + b"eXIf", "loss.png: is no figure, but a photograph"),
        ("deepmatte/docs/cat.png", PNG, "docs/cat.png: is a picture, but no figure of an experiment"),
        ("deepmatte/.env", b"", "deepmatte/.env: is hidden"),
    ],
)
def test_what_may_not_be_published_is_named(
    tmp_path: Path, name: str, data: bytes | None, complaint: str
) -> None:
    content = {**WHEEL, name: data} if data is not None else {k: v for k, v in WHEEL.items() if k != name}
    found = complaints(wheel(tmp_path, content), TRACKED)
    assert any(line.endswith(complaint) for line in found), found


def test_the_photograph_that_readme_shows_may_be_published(tmp_path: Path) -> None:
    assert (ROOT / "docs/portrait.png").is_file()
    content = {name: PNG if name.endswith(".png") else b"" for name in (*TRACKED, "docs/portrait.png")}
    assert complaints(sdist(tmp_path, content), [*TRACKED, "docs/portrait.png"]) == []


def test_paths_within_a_text_are_not_those_of_a_machine(tmp_path: Path) -> None:
    text = b"~/work/a ${HOME}/work/b a/tmp/c https://host/home/d"
    assert complaints(wheel(tmp_path, {**WHEEL, "deepmatte/__init__.py": text}), TRACKED) == []


@pytest.mark.slow
def test_the_wheel_of_this_checkout_may_be_published(tmp_path: Path) -> None:
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolation, "--wheel-dir"]
    subprocess.run([*command, str(tmp_path), str(ROOT)], check=True)
    (built,) = tmp_path.glob("*.whl")
    assert complaints(built, sources(ROOT)) == []


def test_version_and_date_are_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    released = next(heading for heading in headings if heading != "Unreleased")
    assert released == f"{citation['version']} - {citation['date-released']}"
    assert citation["version"] == deepmatte.__version__


def test_workflow_classifiers_and_range_name_the_same_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if " :: 3." in line]
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == named
    assert project["requires-python"] == f">={named[0]}"
    assert {"run": ".ci/run"} in workflow["jobs"]["test"]["steps"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [*workflow["jobs"]["versions"]["strategy"]["matrix"]["target"], "release"]
    assert all(f"\n{target}:" in makefile for target in targets)


def test_everything_is_locked_by_hashes_and_names_no_host_or_machine() -> None:
    text = (ROOT / "requirements" / "cpu.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^(\S+)==(\S+) \\(?:(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", text, re.M)
    lines = [line for line in text.splitlines() if line[:1] not in (" ", "#", "")]
    assert len(pins) == len(lines) > 50
    assert not re.search(r"//|file:|--index|--find", text)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (extras,) = re.findall(r"^EXTRAS +:= (\S+)$", makefile, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][it] for it in extras.split(","))]
    locked = dict(pins)
    for line in (line for group in groups for line in group):
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[wanted.name], prereleases=True), line
