"""What is wrong with a record, in words that hold no value of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

UNKNOWN = "unknown"

Names = Collection[str] | None


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

    def public_pointer(self, names: Names) -> str:
        """Give the pointer with ``*`` for each name that is not in the schema: keys of a map may be customers.

        :param names: those of the schema; None shows all names.
        """
        return _pointer(str(step) if isinstance(step, int) else _shown(step, names) for step in self.path)

    def kind(self, names: Names) -> str:
        """Give the same text for the same flaw, wherever in an array or a map.

        :param names: those of the schema; None shows all names.
        """
        pointer = _pointer("*" if isinstance(step, int) else _shown(step, names) for step in self.path)
        return f"{pointer or 'the record'} {self.message}"

    def advice(self, names: Names) -> str:
        """Name the field of the schema that an unknown one may be meant to be.

        :param names: those of the schema; None shows all names.
        """
        if self.keyword != UNKNOWN or names is None:
            return ""
        similar = get_close_matches(str(self.path[-1]), names, 1)
        return f" (a similar one is {similar[0]})" if similar else ""


def _shown(name: str, names: Names) -> str:
    return name if names is None or name in names else "*"


def _pointer(steps: Iterable[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
