"""What is wrong with a record, in words that hold no value of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

UNKNOWN_FIELD = "unknown"


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with a record.

    :param keyword: the word of the schema that is violated; ``json`` for what can't be read, ``unknown`` for a field too many.
    :param message: what is wrong, without any value.
    :param path: the steps from the record to the value: names of fields, which may be a customer's, and numbers.
    """

    keyword: str
    message: str
    path: tuple[str | int, ...] = ()

    @property
    def pointer(self) -> str:
        """The JSON pointer (RFC 6901) to the value in the record."""
        return _pointer(map(str, self.path))

    def public_pointer(self, names: Collection[str]) -> str:
        """Give the pointer with ``*`` for each name that is not in the schema: keys of a map may be customers.

        :param names: those of the schema.
        """
        return _pointer(str(step) if isinstance(step, int) or step in names else "*" for step in self.path)

    def kind(self, names: Collection[str]) -> str:
        """Give the same text for the same flaw, wherever in an array or a map.

        :param names: those of the schema.
        """
        pointer = _pointer(step if isinstance(step, str) and step in names else "*" for step in self.path)
        return f"{pointer or 'the record'} {self.message}"

    def advice(self, names: Collection[str]) -> str:
        """Name the field of the schema that an unknown one may be meant to be.

        :param names: those of the schema.
        """
        similar = get_close_matches(str(self.path[-1]), names, 1) if self.keyword == UNKNOWN_FIELD else []
        return f" (a similar one is {similar[0]})" if similar else ""


def _pointer(steps: Iterable[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
