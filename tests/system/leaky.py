"""An operator that does everything wrong: the search for leaks must find what it spills."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent


class LeakyTrigger(BaseTrigger):
    """Keeps the secret in its row until a file appears."""

    def __init__(self, secret: str, until: str) -> None:
        super().__init__()
        self.secret = secret
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "leaky.LeakyTrigger", {"secret": self.secret, "until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while not Path(self.until).exists():
            await asyncio.sleep(0.2)
        yield TriggerEvent(None)


class LeakyOperator(BaseOperator):
    """Spills a secret into its log, its XCom, its rendered template, its trigger and its exception."""

    template_fields = ("note",)

    def __init__(self, *, secret: str, until: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.note = secret
        self.until = until

    def execute(self, context: Any) -> None:
        self.log.info("Using %s", self.note)
        context["ti"].xcom_push(key="note", value=self.note)
        self.defer(trigger=LeakyTrigger(self.note, self.until), method_name="fail")

    def fail(self, context: Any, event: Any = None) -> None:
        raise ValueError(f"Could not log in with {self.note}")
