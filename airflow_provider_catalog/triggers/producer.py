"""The poll of a stream as Airflow 3.3 shares it between triggers. Only imported there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

if TYPE_CHECKING:
    from airflow_provider_catalog.triggers.streams import Board, Look


class Producer(SharedStreamProducer):
    """Hands Airflow what the poll finds, and tells the triggers which events are stored.

    :param board: that of the stream.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    async def open_stream(self) -> AsyncIterator[tuple[Look, Look]]:
        """Poll for ever."""
        async for look in self._board.looks():
            yield look, look

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Take note that Airflow has stored the events that were given on some occasions.

        A trigger for which it has not done so in time has been ended by it, and begins anew from its notes.
        """
        for item in batch:
            item.broker_payload.settled = True
