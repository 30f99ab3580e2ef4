"""Names of settings: the keys that were swept, no more of them than a reader needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

MOST_KEYS = 3
"""A sweep over more keys than these names each setting by where it departs from the common levels."""

BASE = "base"
"""The name of the setting that has the most common level of every key."""

KEY = r"(?:^|(?<=, )|(?<=, at ))(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?=[=: ])"
"""A key in a setting's name (``key=value, ...``) or an effect's (``key: a to b, at key c against d``)."""


def setting_names(levels: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the settings' names, from the levels of all their keys.

    With up to `MOST_KEYS` keys every key is named. Beyond, a setting is named by the keys at which it departs
    from their most common levels; of keys that always change together the first is named.

    >>> setting_names([{"a": "0", "b": str(b), "c": "0", "d": str(d)} for b, d in ((0, 0), (1, 0), (1, 1))])
    ['b=0', 'base', 'd=1']
    """
    if len(levels[0]) <= MOST_KEYS:
        return [setting_name(level) for level in levels]
    parts: dict[tuple[int, ...], str] = {}
    for key in levels[0]:
        found = [level[key] for level in levels]
        parts.setdefault(tuple(map(found.index, found)), key)
    keys = list(parts.values())
    common = {key: Counter(level[key] for level in levels).most_common(1)[0][0] for key in keys}
    last = [key.rpartition(".")[2] for key in keys]
    shorter = dict(zip(keys, last if len(set(last)) == len(keys) else short_keys(keys), strict=True))
    return [
        ", ".join(f"{shorter[key]}={level[key]}" for key in keys if level[key] != common[key]) or BASE
        for level in levels
    ]


def setting_name(levels: Mapping[str, str]) -> str:
    """Return the choice itself where one group varies, else ``key=value`` pairs without what all keys share.

    A number alone says nothing, so it keeps its key.

    >>> setting_name({"loss": "dice"}), setting_name({"loss": "dice", "model.width": "0.5"})
    ('dice', 'loss=dice, model.width=0.5')
    >>> setting_name({"w_l": "0.5"})
    'w_l=0.5'
    >>> setting_name({"loss.dice.weight": "1", "loss.laplacian.weight": "0"})
    'dice=1, laplacian=0'
    """
    if not levels:
        return "the only setting"
    (key, value), *others = levels.items()
    if not others and "." not in key and not re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?", value):
        return value
    return ", ".join(
        f"{key}={value}" for key, value in zip(short_keys(list(levels)), levels.values(), strict=True)
    )


def short_keys(keys: Sequence[str]) -> list[str]:
    """Return dotted keys without the first and last words that all of them share.

    >>> short_keys(["loss.dice.weight", "loss.focal.gamma"]), short_keys(["loss.dice.weight"])
    (['dice.weight', 'focal.gamma'], ['loss.dice.weight'])
    """
    words = [key.split(".") for key in keys]
    for end in (0, -1):
        while (
            len(words) > 1
            and all(len(item) > 1 for item in words)
            and len({item[end] for item in words}) == 1
        ):
            for item in words:
                del item[end]
    return [".".join(item) for item in words]


def last_words(name: str) -> str:
    """Return a name with the last word of each key alone; unchanged where two keys would have the same one.

    >>> last_words("model.norm=batch, loss.alpha.weight=0.5")
    'norm=batch, weight=0.5'
    >>> last_words("loss.bce.weight=1, loss.dice.weight=0")
    'loss.bce.weight=1, loss.dice.weight=0'
    >>> last_words("step: a to b, at composition.augment 0.5 against 0")
    'step: a to b, at augment 0.5 against 0'
    """
    keys = set(re.findall(KEY, name))
    if len({key.rpartition(".")[2] for key in keys}) < len(keys):
        return name
    return re.sub(KEY, lambda found: found[0].rpartition(".")[2], name)
