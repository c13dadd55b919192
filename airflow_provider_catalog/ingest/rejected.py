"""How many rejected rows of a promoted batch are too many."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from fractions import Fraction

from airflow_provider_catalog.api.errors import InvalidInputError, RowsRejectedError
from airflow_provider_catalog.api.models import Batch

log = logging.getLogger(__name__)

ARGUMENT = "fail_on_rejected"
ALLOWED = (
    "a number of rows from 1 on (1: not a single one), a share between 0 and 1 such as 0.01, or a percentage above 0% "
    "and up to 100% such as '1%'"
)
NUMBER = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) *(%?)")


@dataclass(frozen=True)
class RejectedLimit:
    """From how many rejected rows on a promoted batch counts as a failure.

    :param text: as its user wrote it.
    :param least: a number of rows, or a share of all rows as a fraction.
    """

    text: str
    least: int | Fraction

    @classmethod
    def parse(cls, value: object) -> RejectedLimit:
        """Read what a user wrote: ``1``, ``"100"``, ``0.01``, ``"1%"`` or ``"1.5 %"``.

        Zero is refused, since every batch has zero rejected rows or more; ``1`` stands for "not a single one".

        :raises InvalidInputError: it is none of these.
        """
        text = str(value).strip()
        match = NUMBER.fullmatch(text)
        least = _least(match[1], match[2]) if match else None
        if least is None:
            raise InvalidInputError(ARGUMENT, value, ALLOWED)
        return cls(text, least)

    def check(self, batch: Batch) -> None:
        """Hold a promoted batch to the limit.

        :raises RowsRejectedError: as many of its rows were rejected, or the platform does not say how many.
        """
        if not self._allows(batch):
            raise RowsRejectedError(batch, self.text)

    def _allows(self, batch: Batch) -> bool:
        rejected, total = batch.records_failed, batch.records_total
        if rejected is None:
            return False
        if isinstance(self.least, int):
            return rejected < self.least
        return rejected == 0 or (bool(total) and Fraction(rejected, total) < self.least)


def accepted(batch: Batch, limit: RejectedLimit | None) -> Batch:
    """Give a promoted batch, unless too many of its rows were rejected. The log says so in any case.

    :param batch: as the Catalog shows it, or as its summary has it.
    :param limit: what is too many; None for no limit.
    :raises RowsRejectedError: the limit is reached, or the platform does not say how many were rejected.
    """
    _warn_of_rejected(batch)
    if limit is not None:
        limit.check(batch)
    return batch


def _warn_of_rejected(batch: Batch) -> None:
    """Tell the log in one line how many rows of a promoted batch were rejected, if any, and under which codes."""
    if not batch.records_failed:
        return
    codes = ", ".join(issue.heading for issue in batch.errors) or "no codes given"
    log.warning("Batch %s is promoted, but %s: %s.", batch.id, batch.rejection, codes)


def _least(number: str, percent: str) -> int | Fraction | None:
    """Give the limit, or None if it makes no sense."""
    amount = Fraction(number)
    if percent:
        return amount / 100 if 0 < amount <= 100 else None
    if "." in number:
        return amount if 0 < amount < 1 else None
    return int(amount) or None
