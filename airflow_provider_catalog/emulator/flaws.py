"""What can be wrong with a row, and how the platform calls it.

A row is read, then brought into the types of its columns, then held against their constraints. It falls at the first
of these stages that finds something, so each rejected row has flaws of one stage only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum


class Stage(IntEnum):
    """The stages in their order."""

    PARSING = 1
    CONVERSION = 2
    VALIDATION = 3


@dataclass(frozen=True)
class _Traits:
    stage: Stage
    code: str
    description: str


class Kind(Enum):
    """The kinds of flaws. Adobe publishes codes for two of them; those that begin with EMU are the emulator's own."""

    UNPARSABLE = _Traits(Stage.PARSING, "INGEST-1401-400", "The row is corrupt and cannot be parsed.")
    UNKNOWN = _Traits(
        Stage.CONVERSION, "EMU-UNKNOWN-400", "The row has a field that is not in the schema of the dataset."
    )
    UNCONVERTIBLE = _Traits(
        Stage.CONVERSION,
        "EMU-CONVERSION-400",
        "TypeCompatibilityException: a value cannot be converted to the type of its column.",
    )
    MISSING = _Traits(Stage.VALIDATION, "INGEST-1555-400", "A required field is not in the row, or is null.")
    VIOLATION = _Traits(
        Stage.VALIDATION, "EMU-CONSTRAINT-400", "A value violates a constraint of the schema."
    )

    @property
    def stage(self) -> Stage:
        """The stage that finds such flaws."""
        return self.value.stage

    @property
    def code(self) -> str:
        """The code among the errors of a batch."""
        return self.value.code

    @property
    def row_code(self) -> str:
        """The code beside a row: the middle of the other one, as Adobe's samples have it (``1401``)."""
        return self.code.split("-")[1] if self.code.startswith("INGEST") else self.code

    @property
    def description(self) -> str:
        """What it means, without a word from the row."""
        return self.value.description


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with a row.

    `message` holds no value of the row. `keyword` is the word of the schema that was violated, at `schema_location`;
    `pointer` is a JSON pointer to the value, without the leading ``#``.
    """

    kind: Kind
    message: str
    keyword: str
    schema_location: str = "#"
    pointer: str = ""

    def below(self, name: str | int) -> Flaw:
        """Return the flaw as seen from one level further up."""
        step = str(name).replace("~", "~0").replace("/", "~1")
        return replace(self, pointer=f"/{step}{self.pointer}")


def first_found(flaws: Sequence[Flaw]) -> Sequence[Flaw]:
    """Return the flaws of the first stage that found any."""
    stage = min((flaw.kind.stage for flaw in flaws), default=None)
    return [flaw for flaw in flaws if flaw.kind.stage is stage]
