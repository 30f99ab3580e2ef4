"""`race.json` of strangers: whatever one of its keys holds, it is a race that can be shown, or one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepmatte.compare.race_view import race_view
from deepmatte.compare.racing import Decision, Drop, Outlook, Plan
from deepmatte.compare.records.races import RACE_FILE, Race, Round, open_race, read_race
from deepmatte.errors import InputError

STRANGE: tuple[Any, ...] = (
    *(None, {}, [], 0, -1, "x", "9" * 400, "a\0b"),
    *([{}], [["a"]], {"a": None}, {"a": {"0": {}}}, {"a": {"0": "9" * 400}}),
)


def places(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the keys that lead to each place in plain data."""
    yield above
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield from places(node[key], (*above, key))


def changed(record: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return plain data with another value at one place."""
    if not place:
        return value
    result = copy.copy(record)
    result[place[0]] = changed(record[place[0]], place[1:], value)
    return result


@pytest.fixture
def race(tmp_path: Path) -> Race:
    decision = Decision(0.5, ["a", "b"], [Drop("b", "a", 3.0, 0.01)], False)
    rounds = [Round([0, 1], {name: {0: "x", 1: "y"} for name in "ab"}, ["c"], decision)]
    made = Race(tmp_path, Plan(), {"metric": "sad"}, ["a", "b", "c"], rounds)
    made.write()
    return made


def test_any_value_at_any_place_ends_in_one_line_or_can_be_shown(race: Race) -> None:
    right = json.loads((race.sweep / RACE_FILE).read_text())
    assert read_race(race.sweep) == race
    lines = []
    for place in places(right):
        for value in STRANGE:
            (race.sweep / RACE_FILE).write_text(json.dumps(changed(right, place, value)))
            try:
                found = open_race(race.sweep, race.plan, race.about, race.settings)
                view = race_view(replace(found, plan=read_race(race.sweep).plan))
                assert set(view.order) == {"a", "b", "c"}
                assert view.outlook() == Outlook()  # no run is there
                assert view.cost[0] == sum(map(len, found.runs().values()))
            except InputError as error:
                lines.append(str(error))
    assert len(lines) > 200
    assert max(map(len, lines)) < 1500
    assert not any("\n" in line for line in lines)


def test_a_race_names_its_own_settings_alone(race: Race) -> None:
    replace(race, settings=["a", "c"]).write()
    with pytest.raises(InputError, match=r"not readable as a race \(b: none of its settings\)"):
        read_race(race.sweep)
