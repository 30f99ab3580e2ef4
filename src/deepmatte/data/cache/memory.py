"""Arrays in memory, within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from deepmatte.data.cache.arrays import Arrays


class ArrayCache:
    """Keeps what was loaded last, up to ``max_bytes``; every process has its own, and 0 keeps nothing.

    The arrays that it hands out are read-only, so that no sample can change the next.

    >>> import numpy as np
    >>> cache = ArrayCache(max_bytes=8)
    >>> zeros = {"alpha": np.zeros(4, np.uint8)}
    >>> [cache.get(key, lambda: zeros)["alpha"].size for key in "abcb"], list(cache)
    ([4, 4, 4, 4], ['c', 'b'])
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, Arrays] = OrderedDict()
        self._bytes = 0

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._kept)

    def get(self, key: Hashable, load: Callable[[], Arrays]) -> Arrays:
        """Return the arrays kept under ``key``, else those of ``load()``."""
        arrays = self.find(key)
        if arrays is None:
            arrays = load()
            self.put(key, arrays)
        return arrays

    def find(self, key: Hashable) -> Arrays | None:
        """Return the arrays kept under ``key``, or None."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Hashable, arrays: Arrays) -> None:
        """Keep arrays, and drop those that have not been used for the longest time until the budget holds."""
        for array in arrays.values():
            array.flags.writeable = False
        size = sum(array.nbytes for array in arrays.values())
        if size > self.max_bytes:
            return
        self._kept[key] = arrays
        self._bytes += size
        while self._bytes > self.max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= sum(array.nbytes for array in dropped.values())

    def __getstate__(self) -> dict[str, Any]:
        # A process that is spawned gets an empty cache rather than a copy through a pipe.
        return {"max_bytes": self.max_bytes, "_kept": OrderedDict(), "_bytes": 0}
