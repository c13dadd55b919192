"""The poll of a stream as Airflow 3.3 shares it between triggers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

    from airflow_provider_catalog.triggers.streams import Board, Look


def producer_of(board_in_use: AbstractContextManager[Board]) -> SharedStreamProducer:
    """Make what hands Airflow the finds of a poll, and tells the triggers which of their events are stored.

    :param board_in_use: gives the board of the stream.
    """
    from airflow.triggers.shared_stream import SharedStreamProducer

    class Producer(SharedStreamProducer):
        async def open_stream(self) -> AsyncIterator[tuple[Look, Look]]:
            with board_in_use as board:
                board.tells_settled = True
                async for look in board.looks():
                    yield look, look

        async def advance(self, batch: Sequence[AdvanceItem]) -> None:
            # A trigger whose events were not stored in time has been ended by Airflow, and begins anew from its notes.
            for item in batch:
                item.broker_payload.settled = True

    return Producer()
