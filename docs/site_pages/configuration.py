"""The pages of the configuration: every key of ``conf/``, with its default and the comment beside it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

PRIMARY = ("train", "evaluate")
"""The primary configurations; all other files are choices of groups."""

PURPOSES = {
    "budget": "sizes and lengths of a run",
    "callbacks": "what watches a run",
    "composition": "how samples are made: recipes of augmentation",
    "data": "what to train and to score on",
    "debug": "quick checks before a long run",
    "hydra/launcher": "how the jobs of a sweep run side by side",
    "hydra/sweeper": "searches, in place of a grid",
    "logger": "where a run is logged",
    "loss": "which losses, with which weights",
    "method": "classical methods, for `deepmatte evaluate`",
    "metrics": "metrics of your own, scored beside deepmatte's",
    "model": "the network",
    "optimizer": "the optimiser and its learning rate",
    "stages": "which parts of the network learn, stage by stage",
    "trainer": "devices, processes and precision",
}
"""What each group chooses."""


@dataclass(frozen=True)
class Key:
    """A row of a table: the dotted ``path`` of a key, its ``default`` as it is written, its ``comment``."""

    path: str
    default: str
    comment: str


@dataclass(frozen=True)
class ConfigurationFile:
    """A file of ``conf/``: the comment at its head, what it builds on, and its keys."""

    header: tuple[str, ...]
    defaults: tuple[Key, ...]
    keys: tuple[Key, ...]


def read(text: str) -> ConfigurationFile:
    r"""Return the keys of a YAML file with their comments.

    A comment belongs to the key of its line, and goes on in the lines below whose ``#`` is in the same
    column; a comment on lines of its own belongs to the key right below it.

    >>> read("a:  # one\n    # two\n  b: 1\n").keys
    (Key(path='a', default='', comment='one two'), Key(path='a.b', default='1', comment=''))
    """
    comments = _Comments(text)
    root = yaml.compose(text)
    defaults, keys = [], []
    for key, value in root.value if root else []:
        if key.value == "defaults":
            defaults = [_default(item, text, comments) for item in value.value]
        else:
            keys += _keys(key, value, "", text, comments)
    return ConfigurationFile(tuple(comments.header), tuple(defaults), tuple(keys))


def _default(item: yaml.Node, text: str, comments: _Comments) -> Key:
    """Return an entry of the defaults list: a file, or a group and its choice."""
    comment = comments.of(item.start_mark.line)
    if isinstance(item, yaml.MappingNode):
        ((group, choice),) = item.value
        return Key(group.value, _source(choice, text), comment)
    return Key(item.value, "", comment)


def _keys(key: yaml.Node, value: yaml.Node, above: str, text: str, comments: _Comments) -> Iterator[Key]:
    """Yield a key and those below it."""
    path, comment = f"{above}{key.value}", comments.of(key.start_mark.line)
    if not isinstance(value, yaml.MappingNode) or not value.value:
        yield Key(path, _source(value, text), comment)
        return
    if comment:
        yield Key(path, "", comment)
    for name, inner in value.value:
        yield from _keys(name, inner, f"{path}.", text, comments)


def _source(node: yaml.Node, text: str) -> str:
    """Return a value as the file writes it, without the comments between its lines."""
    lines = text[node.start_mark.index : node.end_mark.index].splitlines()
    if len(lines) > 1:
        lines = [re.sub(r"(^|\s)#.*", "", line) for line in lines]
    return " ".join(" ".join(lines).split())


class _Comments:
    """The comments of a file: those at its head, and those of a key's line; each is given once."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        ends = _ends_of_content(text)
        self._lines: dict[int, str] = {}
        self.header: list[str] = []
        pending: list[str] = []  # comments on lines of their own, for the key below
        column = owner = None  # of the comment that may go on
        for number, line in enumerate(lines):
            place = line.find("#", ends.get(number, 0))
            words = line[place + 1 :].strip() if place >= 0 else ""
            if number in ends:
                self._lines[number] = " ".join([*pending, words]).strip()
                pending, column, owner = [], place if place >= 0 else None, number
            elif place >= 0 and place == column:
                self._lines[owner] = f"{self._lines[owner]} {words}".strip()
            elif place >= 0:
                column = None
                if not re.match(r"----|@package", words):
                    (pending if self._lines or (ends and number > min(ends)) else self.header).append(
                        line[place + 1 :].removeprefix(" ").rstrip()
                    )
            else:
                pending, column = [], None

    def of(self, line: int) -> str:
        return self._lines.pop(line, "")


def _ends_of_content(text: str) -> dict[int, int]:
    """Return the column where the content of each line ends, of the lines that have any."""
    ends: dict[int, int] = {}
    for token in yaml.scan(text):
        start, end = token.start_mark, token.end_mark
        if end.index > start.index:
            for line in range(start.line, end.line + 1):
                ends[line] = max(ends.get(line, 0), end.column if line == end.line else 10**6)
    return {line: end for line, end in ends.items() if end}


def groups(conf: Path) -> dict[str, list[Path]]:
    """Return the files of each group, such as ``hydra/launcher``, in alphabetical order."""
    found: dict[str, list[Path]] = {}
    for file in sorted(conf.rglob("*.yaml")):
        if file.parent != conf:
            found.setdefault(file.parent.relative_to(conf).as_posix(), []).append(file)
    return found


def page_of(group: str) -> str:
    """Return the page of a group, below ``reference/configuration/``."""
    return f"{group.replace('/', '-')}.md"


def pages(conf: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and Markdown of each page: of the primary configurations, and of each group."""
    yield "index.md", _index(conf)
    for group, files in groups(conf).items():
        purpose = PURPOSES[group]
        lines = [f"# {group}", "", f"{purpose[0].upper()}{purpose[1:]}.", ""]
        lines += [f"Choices: {', '.join(f'[`{file.stem}`](#{file.stem})' for file in files)}.", ""]
        for file in files:
            lines += _section(file, f"{group}={file.stem}", group)
        yield page_of(group), "\n".join(lines)


def _index(conf: Path) -> str:
    lines = [
        "# Configuration",
        "",
        "`deepmatte train KEY=VALUE` changes a key, `GROUP=NAME` takes a file of a group, and `--cfg job` "
        "prints the result. All of this is read from `conf/`; files of the same folders where you work are "
        "choices, too.",
        "",
        "| group | what |",
        "|---|---|",
        *(f"| [`{group}`]({page_of(group)}) | {PURPOSES[group]} |" for group in groups(conf)),
        "",
    ]
    for name in PRIMARY:
        lines += _section(conf / f"{name}.yaml", f"deepmatte {name}", name)
    return "\n".join(lines)


def _section(file: Path, title: str, place: str) -> list[str]:
    """Return the section of a file; ``place`` is its group, whose keys are named ``place.KEY`` when set."""
    content = read(file.read_text(encoding="utf-8"))
    lines = [f"## {title} {{#{file.stem}}}", "", *_prose(content.header), ""]
    builds = [row for row in content.defaults if row.path != "_self_"]
    if any(row.comment for row in builds):
        lines += _table(builds, "group", "choice")
    elif builds:
        shown = (f"`{row.path}: {row.default}`" if row.default else f"`{row.path}`" for row in builds)
        lines += [f"Builds on {', '.join(shown)}.", ""]
    if content.keys:
        everywhere = place in PRIMARY or "@package _global_" in file.read_text(encoding="utf-8")
        keys = [
            row if everywhere else Key(f"{place.replace('/', '.')}.{row.path}", row.default, row.comment)
            for row in content.keys
        ]
        lines += _table(keys, "key", "default")
    return lines


def _table(rows: list[Key], first: str, second: str) -> list[str]:
    return [
        f"| {first} | {second} | |",
        "|---|---|---|",
        *(f"| `{row.path}` | {_code(row.default)} | {escaped(row.comment)} |" for row in rows),
        "",
    ]


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _prose(header: tuple[str, ...]) -> list[str]:
    """Return the comment at the head of a file: paragraphs, and lines that are indented as they are."""
    lines: list[str] = []
    for indented, group in itertools.groupby(header, lambda line: line.startswith("  ")):
        part = list(group)
        lines += [f"    {line[2:]}" for line in part] if indented else [escaped("\n".join(part))]
        lines.append("")
    return lines


def escaped(text: str) -> str:
    """Return text as Markdown that shows it as it is; what stands between backquotes stays code.

    >>> escaped("a|b <c> `d|e`")
    'a&#124;b &#60;c&#62; `d|e`'
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:  # an unpaired backquote: no code at all
        parts = [text.replace("`", "'")]
    plain = (
        re.sub(r"[\\*_\[\]<>|{}#~]", lambda found: f"&#{ord(found[0])};", part) if i % 2 == 0 else part
        for i, part in enumerate(parts)
    )
    return "`".join(plain)
