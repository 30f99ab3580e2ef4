"""One line of a configured table: which matte a term sees, and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepmatte.batch import CRITICS, CURES, Batch, Matte
from deepmatte.errors import InputError
from deepmatte.losses.inputs import Output, enlarged, reduced
from deepmatte.losses.measured import Measured, measured
from deepmatte.losses.table.schedule import Schedule
from deepmatte.losses.terms import Kind, Loss


@dataclass(frozen=True)
class Row:
    """One line of a configured table: a term with its options and weight, under a name.

    ``output`` says which matte of the prediction it sees (`Output`).
    """

    name: str
    function: Loss
    kind: Kind
    reads: tuple[str, ...]
    weight: Schedule
    output: Output = "final"
    teaches: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()

    def __call__(self, matte: Matte, batch: Batch) -> Measured:
        """Return the term's value and its quantities; InputError names a key that the batch lacks."""
        if self.output != "final":
            matte = self._coarse(matte)
            matte, batch = (
                (enlarged(matte, batch), batch) if self.output == "coarse" else (matte, reduced(batch, matte))
            )
        try:
            found = self.function(matte, batch)
        except KeyError as error:
            key = error.args[0] if error.args else None
            if not isinstance(key, str) or key in batch:
                raise
            raise InputError(self.lacks([key], "this batch")) from error
        return measured(found)

    def _coarse(self, matte: Matte) -> Matte:
        """Return the coarse matte; InputError where the model gives none."""
        if matte.coarse is None:
            key = f"loss.{self.name}.output"
            raise InputError(f"{key}={self.output}: this model gives no coarse matte; set {key}=final")
        return matte.coarse

    def lacks(self, keys: Sequence[str], place: str) -> str:
        """Return the message that ``place`` does not have ``keys``, which the term reads."""
        critics = [key for key in keys if key in CRITICS]
        if critics:
            cure = f"set loss.{self.name}.weight=0, or choose a model that has one, such as model=alphagan"
            return f"loss.{self.name} reads a {critics[0]}, which this model does not have: {cure}"
        cure = CURES.get(keys[0], f"choose data that has {'it' if len(keys) == 1 else 'them'}")
        return (
            f"loss.{self.name} reads {', '.join(keys)}, which {place} does not have: "
            f"set loss.{self.name}.weight=0, or {cure}"
        )
