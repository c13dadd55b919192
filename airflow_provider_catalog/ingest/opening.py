"""One run, one batch: find the batch of a logical attempt, in whatever state it is, or open it.

``POST /batches`` has no idempotency key, its answer can be lost, and a task may run twice at once when the process that
supervises it has died. The Catalog is the only memory: every batch carries the external id that its logical attempt leads to
(:mod:`airflow_provider_catalog.ingest.identity`), and these rules hold for everybody who works on that attempt.

- Look the external id up before opening a batch, and again when the answer to the opening is lost; open another one only when the
  Catalog shows nothing for as long as its patience lasts.
- Of several batches of one external id the oldest (by the time of creation, then by id) is the run's batch. Whoever sees a
  younger one that is still loading aborts it.
- After opening, wait out the Catalog's lag and look again; likewise right before completing. Of two who opened at once, the
  one with the younger batch is then sure to see the older one, and never completes its own.
- When all batches of an external id have failed, or were aborted or abandoned, the next number makes the next external id.
  Where one of them has, the batches of the next number are looked at as well, and count as if they had the same id.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import (
    ApiError,
    BatchLostError,
    BatchStateError,
    InvalidInputError,
    LostSightError,
    OutcomeUnknownError,
)
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.statuses import Phase
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.ending import abort_batch
from airflow_provider_catalog.ingest.identity import (
    ATTEMPT_TAG,
    OWNER_TAG,
    LogicalAttempt,
    digest,
    with_own_tags,
)

log = logging.getLogger(__name__)

PLAN_TAG = "airflow_plan"
POSTS = 3
CONFLICT = 409


class Opening:
    """The batch of one logical attempt, as one process sees it.

    :param client: reaches the sandbox.
    :param attempt: whose batch it is.
    :param payload: the body of ``POST /batches``, without external id.
    :param content: gives what the batch will hold, where that is known, as texts in any order; asked when it matters.
    :param replaced: gives the ids of the batches that a new one replaces; asked right before one is opened.
    :raises InvalidInputError: the payload has tags that are set here.
    """

    def __init__(
        self,
        client: CatalogClient,
        attempt: LogicalAttempt,
        payload: Mapping[str, Any],
        *,
        content: Callable[[], Sequence[str]] = tuple,
        replaced: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._client = client
        self._attempt = attempt
        # The plan is made later, but its name is refused before anything is sent.
        self._payload = with_own_tags(payload, {**attempt.tags, PLAN_TAG: []})
        self._content = content
        self._replaced = replaced
        self._number = 1
        self._known_since: dict[str, float] = {}
        self._seen: set[str] = set()

    def open(self) -> Batch:
        """Find the run's batch or open it, and be sure that it is the run's.

        :raises BatchLostError: somebody has ended it meanwhile.
        """
        batch = self.find() or self.create()
        if batch.phase is not Phase.WAITING_ON_CLIENT:
            return batch
        settled = self.settle(batch)
        if settled is None:
            raise BatchLostError(batch)
        return settled

    def find(self) -> Batch | None:
        """Look for the run's batch. None if there is none, or if all of them have failed.

        :raises InvalidInputError: the user's external id belongs to the batch of another task.
        :raises BatchStateError: the platform refuses for minutes to abort one that it shows as open beside the run's.
        """
        deadline = pace.now() + pace.CATALOG_PATIENCE
        while True:
            try:
                return self._find()
            except BatchStateError as error:
                # It was completed in the meantime, so all must be looked at anew.
                if pace.now() >= deadline:
                    raise
                log.warning("%s", error)
            pace.sleep(pace.CATALOG_LAG)

    def _find(self) -> Batch | None:
        alive: list[Batch] = []
        for self._number in itertools.count(1):
            everybody = self._named(self._external_id)
            own = self._own(everybody)
            living = [batch for batch in own if batch.phase is not Phase.FAILED]
            alive += living
            # Somebody who was held up may open a batch under a number that the others have given up since then.
            is_given_up = len(living) < len(own)
            if alive and not is_given_up:
                found = self._settled_among(alive)
                if found is not None:
                    return found
                alive = []
            if not everybody:
                return None
        raise AssertionError("unreachable")

    def create(self) -> Batch:
        """Open the run's batch, after :meth:`find` has found none.

        :raises OutcomeUnknownError: the answers were lost, and the Catalog shows no batch.
        """
        tags = {**self._payload["tags"], PLAN_TAG: [self._plan]}
        body = {**self._payload, "tags": tags, **self._replay()}
        # What is left from before a clear may have been waited for, and there may be a batch of this attempt meanwhile.
        if self._attempt.clears and (found := self.find()) is not None:
            return found
        for post in itertools.count(1):
            number = self._number
            payload = {**body, "externalId": self._external_id}
            try:
                batch_id = self._client.create_batch(payload)
            except OutcomeUnknownError as error:
                found = self._look_patiently(error)
                if found is None and post == POSTS:
                    raise
            except ApiError as error:
                # Whether external ids are unique is not documented. If they are, somebody was faster.
                found = self._look_patiently(error) if error.failure.status == CONFLICT else None
                # An id that others have, seen only now: the look has led to the next number.
                if found is None and (self._number == number or post == POSTS):
                    raise
            else:
                found = Batch(batch_id, "loading", external_id=self._external_id)
                log.info("Opened batch %s.", batch_id)
            if found is not None:
                self._remember(found)
                return found
        raise AssertionError("unreachable")

    def settle(self, batch: Batch) -> Batch | None:
        """Give the run's batch when the Catalog is sure to show all that can be older than the one at hand.

        :param batch: what :meth:`find` or :meth:`create` gave.
        :return: the same batch as the Catalog shows it, or another one that turned out to be the run's, or None if there is none
            any more.
        :raises LostSightError: the Catalog does not show the batch.
        """
        known_since = self._remember(batch)
        pace.sleep(max(0.0, known_since + pace.CATALOG_LAG - pace.now()))
        while True:
            found = self.find()
            if batch.id in self._seen:
                return found
            if pace.now() >= known_since + pace.CATALOG_PATIENCE:
                raise LostSightError(
                    f"The Catalog has not shown batch {batch.id} for {pace.CATALOG_PATIENCE:.0f} s after its opening."
                )
            pace.sleep(pace.LOOK_PAUSE)

    @cached_property
    def _plan(self) -> str:
        """A digest of what the batch is for. It can't be changed once it is open, so one for something else is of no use."""
        # Tags say nothing about the data, and their templates may give another text at each try.
        options = {name: value for name, value in self._payload.items() if name != "tags"}
        return digest(options, sorted(self._content()))

    @property
    def _external_id(self) -> str:
        return self._attempt.external_id(self._number)

    def _named(self, external_id: str) -> list[Batch]:
        found = self._client.list_batches(external_id=external_id)
        named = [batch for batch in found if self._has_name(batch, external_id)]
        self._seen.update(batch.id for batch in named)
        return sorted(named, key=_age)

    def _has_name(self, batch: Batch, external_id: str) -> bool:
        """Whether it is what was asked for: a Catalog without the filter must not make other people's batches ours."""
        if batch.external_id is None:
            return batch.tags.get(ATTEMPT_TAG) == (self._attempt.attempt,)
        return batch.external_id == external_id

    def _own(self, batches: Sequence[Batch]) -> list[Batch]:
        """Leave out what is not this attempt's: a user's external id says nothing about whose batch it is."""
        if self._attempt.chosen_id is None:
            return list(batches)
        for batch in batches:
            if batch.tags.get(OWNER_TAG) != (self._attempt.owner,):
                allowed = f"an id that no other task uses; batch {batch.id} has it. Put {{{{ run_id }}}} in, for instance"
                raise InvalidInputError("external_id", self._attempt.chosen_id, allowed)
        return [batch for batch in batches if batch.tags.get(ATTEMPT_TAG) == (self._attempt.attempt,)]

    def _settled_among(self, alive: Sequence[Batch]) -> Batch | None:
        """Choose the run's batch, abort the others, and give None if there is none left to go on with."""
        chosen = min(alive, key=lambda batch: (batch.phase is Phase.WAITING_ON_CLIENT, *_age(batch)))
        others = [batch for batch in alive if batch is not chosen]
        if not self._is_as_planned(chosen):
            log.warning("Batch %s was opened for other files or with other options.", chosen.id)
            others.append(chosen)
        for batch in others:
            self._abort(batch)
        if chosen in others:
            return None
        self._remember(chosen)
        return chosen

    def _is_as_planned(self, batch: Batch) -> bool:
        return batch.phase is not Phase.WAITING_ON_CLIENT or batch.tags.get(PLAN_TAG) in (None, (self._plan,))

    def _abort(self, batch: Batch) -> None:
        """Abort a batch that is still loading.

        :raises BatchStateError: it was completed in the meantime.
        """
        if batch.phase is not Phase.WAITING_ON_CLIENT:
            log.error(
                "Batch %s has been completed beside another one of the same attempt. The Catalog lags by more than %.0f s.",
                batch.id,
                pace.CATALOG_LAG,
            )
            return
        log.info("Batch %s is not the run's batch and is aborted.", batch.id)
        abort_batch(self._client, batch.id, sleep=pace.sleep)

    def _look_patiently(self, error: Exception) -> Batch | None:
        """Look for a batch that may have been opened, until it is there or the Catalog would have shown it long ago."""
        log.warning("%s Looking for it.", error)
        deadline = pace.now() + pace.CATALOG_PATIENCE
        # Another process' batch may be there at once; one that was opened here must be seen beside it, to be aborted.
        pace.sleep(pace.CATALOG_LAG)
        while True:
            found = self.find()
            if found is not None:
                log.info("Found batch %s.", found.id)
                return found
            if pace.now() >= deadline:
                log.warning("The Catalog shows no batch with the external id %s.", self._external_id)
                return None
            pace.sleep(pace.LOOK_PAUSE)

    def _remember(self, batch: Batch) -> float:
        return self._known_since.setdefault(batch.id, pace.now())

    def _replay(self) -> dict[str, Any]:
        predecessors = [f"${batch_id}" for batch_id in self._replaced()]
        if not predecessors:
            return {}
        log.info("The new batch replaces %s.", ", ".join(predecessors).replace("$", ""))
        return {"replay": {"reason": "replace", "predecessors": predecessors}}


def _age(batch: Batch) -> tuple[float, str]:
    return batch.created or 0, batch.id
