"""What an event trigger remembers beyond a restart of the triggerer.

Airflow 3.3 keeps such notes beside the asset that a trigger watches. Before that there is only its table of variables, of which
each trigger takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Notes(Protocol):
    """Where a trigger keeps its notes. To be used in the trigger's own coroutine."""

    async def read(self) -> Mapping[str, Any] | None:
        """Give what was written last, or None."""

    async def write(self, state: Mapping[str, Any]) -> None:
        """Keep this instead of what was written before."""


class AssetNotes:
    """Notes in the state store of an asset, since Airflow 3.3.

    Triggers with equal arguments are one trigger to Airflow, which then belongs to several assets: the notes go to all of them.

    :param accessors: what Airflow gives to a trigger.
    :param name: under which the notes are kept.
    """

    def __init__(self, accessors: Any, name: str) -> None:
        by_name = getattr(accessors, "_by_name", None)  # nothing public tells which assets there are
        self._stores: list[Any] = [by_name[asset] for asset in sorted(by_name)] if by_name else [accessors]
        self._name = name

    async def read(self) -> Mapping[str, Any] | None:
        """Give what was written last, or None."""
        for store in self._stores:
            state = await store.aget(self._name)
            if isinstance(state, Mapping):
                return state
        return None

    async def write(self, state: Mapping[str, Any]) -> None:
        """Keep this instead of what was written before."""
        for store in self._stores:
            await store.aset(self._name, dict(state))


class VariableNotes:
    """Notes in a variable, for Airflow before 3.3.

    :param name: the variable's.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def read(self) -> Mapping[str, Any] | None:
        """Give what was written last, or None."""
        from airflow.providers.common.compat.sdk import Variable
        from asgiref.sync import sync_to_async

        state = await sync_to_async(Variable.get)(self._name, None, deserialize_json=True)
        return state if isinstance(state, Mapping) else None

    async def write(self, state: Mapping[str, Any]) -> None:
        """Keep this instead of what was written before."""
        from airflow.providers.common.compat.sdk import Variable
        from asgiref.sync import sync_to_async

        await sync_to_async(Variable.set)(
            self._name, dict(state), description="Kept by airflow-provider-catalog.", serialize_json=True
        )
