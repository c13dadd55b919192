"""The client: one method for one call of the API."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from typing import Any, BinaryIO
from urllib.parse import quote

from airflow_provider_catalog.api.auth import auth_for
from airflow_provider_catalog.api.data_access import DataAccess
from airflow_provider_catalog.api.errors import (
    ApiError,
    Failure,
    InvalidInputError,
    NotFoundError,
    OutcomeUnknownError,
    UnreachableError,
)
from airflow_provider_catalog.api.large_files import LargeFiles
from airflow_provider_catalog.api.look_ups import SHORTEST_FULL_PAGE, BatchLookUps
from airflow_provider_catalog.api.models import Batch, Dataset
from airflow_provider_catalog.api.problems import ADVICE_BY_STATUS
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS, Repeat, may_have_been_done
from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.api.transport import Call, Transport, user_agent
from airflow_provider_catalog.api.validation import check_request

IMPORT = "/data/foundation/import"
CATALOG = "/data/foundation/catalog"
REGISTRY = "/data/foundation/schemaregistry"
SANDBOXES = "/data/foundation/sandbox-management/"

# Adobe's own schemas; those of a customer, ad-hoc ones too, have the tenant's id in the place of "xdm".
GLOBAL_SCHEMAS = "https://ns.adobe.com/xdm/"

PAGE_SIZE = 100
SANDBOXES_PAGE_SIZE = 50
ARRIVAL_PROPERTIES = (
    "status",
    "completed",
    "externalId",
    "relatedObjects",
    "metrics",
    "recordCount",
    "failedRecordCount",
    "tags",
    "replay",
)
URL_LIMIT = 2000

# How the header is written is documented nowhere: one range from the first byte on, in the notations that HTTP has for it.
WHOLE_FILE = re.compile(r"(?:bytes[= ])?0-(\d+)(?:/\d+)?")
TAG_FILTER_TEXT = re.compile(r"[0-9A-Za-z_-]+")


class CatalogClient:
    """The platform's API in one sandbox of one organisation. Can be shared between threads.

    What it keeps about batches in files is read through ``data_access``, a
    :class:`~airflow_provider_catalog.api.data_access.DataAccess`; files that are too large for one upload go through
    ``large_files``, a :class:`~airflow_provider_catalog.api.large_files.LargeFiles`; many batches are looked up at once through
    ``look_ups``, a :class:`~airflow_provider_catalog.api.look_ups.BatchLookUps`.

    Every method raises :class:`~airflow_provider_catalog.api.errors.ApiError` when the platform answers with an error and
    :class:`~airflow_provider_catalog.api.errors.UnreachableError` when it gives no usable answer, after the repetitions that the
    table in :mod:`airflow_provider_catalog.api.retries` allows.

    :param settings: where the platform is and who is calling.
    :param application: named in the ``User-Agent``, such as ``apache-airflow/3.3.2``.
    :param on_token: told every new token before it is used, so that it can be masked in logs.
    :param attempts: how often one call is sent at most, where it may be repeated; six times unless given.
    :param sleep: waits between two tries.
    """

    def __init__(
        self,
        settings: PlatformSettings,
        *,
        application: str | None = None,
        on_token: Callable[[str], None] | None = None,
        attempts: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        agent = user_agent(application)
        attempts = DEFAULT_ATTEMPTS if attempts is None else attempts
        self.settings = settings
        self.auth = auth_for(settings, user_agent=agent, on_token=on_token, attempts=attempts, sleep=sleep)
        transport = Transport(
            headers={
                "User-Agent": agent,
                "x-api-key": settings.client_id,
                "x-gw-ims-org-id": settings.ims_org_id,
                "x-sandbox-name": settings.sandbox_name,
            },
            timeout=settings.timeout,
            auth=self.auth,
            secrets=(settings.client_secret, settings.access_token),
            attempts=attempts,
            sleep=sleep,
        )
        self._use(transport)

    def _use(self, transport: Transport) -> None:
        self._transport = transport
        self.data_access = DataAccess(self.settings.host, transport)
        self.large_files = LargeFiles(transport)
        self.look_ups = BatchLookUps(
            read_one=lambda batch_id: self._look_up("batches", batch_id),
            read_many=lambda query: self._read("batches", query, answer="object"),
        )

    def pausing(self, sleep: Callable[[float], None]) -> CatalogClient:
        """Give this client with another way to wait between two tries. The two share their connections.

        :param sleep: waits for so many seconds; what it raises ends the call.
        """
        twin = copy(self)
        twin._use(self._transport.pausing(sleep))
        return twin

    def close(self) -> None:
        """Close the kept connections."""
        self._transport.close()
        self.auth.close()

    # Batch ingestion: https://developer.adobe.com/experience-platform-apis/references/batch-ingestion/

    def create_batch(self, payload: Mapping[str, Any]) -> str:
        """Open a batch, and give its id.

        :param payload: the body, from :func:`~airflow_provider_catalog.api.payloads.create_batch_payload`.
        :raises OutcomeUnknownError: the answer was lost, so that the batch may or may not exist.
        """
        url = f"{self.settings.host}{IMPORT}/batches"
        call = Call("POST", url, Repeat.UNSENT_ONLY, json=payload, answer="createdBatch")
        try:
            answer = self._transport.send(call)
        except (ApiError, UnreachableError) as error:
            if may_have_been_done(str(call), error):
                raise OutcomeUnknownError(str(error), payload.get("externalId")) from error
            raise
        batch_id: str = answer["id"]
        return batch_id

    def put_file(
        self, batch_id: str, dataset_id: str, remote_name: str, open_body: Callable[[], BinaryIO]
    ) -> None:
        """Send one file of a batch, replacing one of the same name.

        :param batch_id: a batch that is still loading.
        :param dataset_id: the dataset it was opened on.
        :param remote_name: the file's path inside the batch; folders may denote partitions.
        :param open_body: opens the file's bytes, with a length; called anew for each try.
        """
        check_request(batch_id, "batchId")
        check_request(dataset_id, "datasetId")
        self._transport.send(
            Call(
                "PUT",
                self.file_url(batch_id, dataset_id, remote_name),
                Repeat.SAFE,
                headers={"Content-Type": "application/octet-stream"},
                body=open_body,
            )
        )

    def received_size(self, batch_id: str, dataset_id: str, remote_name: str) -> int | None:
        """Give the size in bytes of a file as the platform has received it; None if it has not, or does not tell.

        :param batch_id: the batch.
        :param dataset_id: the dataset it was opened on.
        :param remote_name: the file's path inside the batch.
        """
        check_request(batch_id, "batchId")
        check_request(dataset_id, "datasetId")
        url = self.file_url(batch_id, dataset_id, remote_name)
        try:
            ranges = self._transport.send(Call("HEAD", url, Repeat.SAFE, answer_header="Range"))
        except ApiError as error:
            # Documented is this call for large files only; small ones may be unknown to it in more than one way.
            if error.failure.status in (400, 404, 405, 415):
                return None
            raise
        match = WHOLE_FILE.fullmatch(ranges or "")
        return int(match[1]) + 1 if match else None

    def file_url(self, batch_id: str, dataset_id: str, remote_name: str) -> str:
        """Give the address of a file in a batch.

        :raises InvalidInputError: the name is not usable, or the address gets longer than the platform takes.
        """
        check_request(remote_name, "remoteName")
        path = f"/batches/{batch_id}/datasets/{dataset_id}/files/{quote(remote_name, safe='/=')}"
        url = f"{self.settings.host}{IMPORT}{path}"
        if len(url) > URL_LIMIT:
            allowed = f"a name with which the address stays within {URL_LIMIT} characters (it has {len(url)})"
            raise InvalidInputError("remote_name", remote_name, allowed)
        return url

    def complete_batch(self, batch_id: str) -> None:
        """Signal that all files of a batch are there. The platform accepts a repetition."""
        self._signal(batch_id, "COMPLETE", Repeat.SAFE)

    def abort_batch(self, batch_id: str) -> None:
        """Give up a batch that is not promoted yet."""
        self._signal(batch_id, "ABORT", Repeat.UNSENT_ONLY)

    def revert_batch(self, batch_id: str) -> None:
        """Take the data of a promoted batch out of the dataset."""
        self._signal(batch_id, "REVERT", Repeat.UNSENT_ONLY)

    def _signal(self, batch_id: str, action: str, repeat: Repeat) -> None:
        check_request(batch_id, "batchId")
        self._transport.send(
            Call(
                "POST",
                f"{self.settings.host}{IMPORT}/batches/{batch_id}",
                repeat,
                params={"action": action},
                headers={"Content-Type": "application/json"},
            )
        )

    # Catalog: https://developer.adobe.com/experience-platform-apis/references/catalog/

    def get_batch(self, batch_id: str) -> Batch:
        """Look one batch up.

        :raises NotFoundError: the Catalog does not know it, or does not know it yet.
        """
        check_request(batch_id, "batchId")
        return Batch.parse(batch_id, self._look_up("batches", batch_id))

    def get_batches(
        self, batch_ids: Collection[str], *, properties: Collection[str] = ()
    ) -> dict[str, Batch]:
        """Look many batches up, a few requests for all. Those that the Catalog does not know are absent.

        :param batch_ids: their ids.
        :param properties: the top-level fields that are needed, where the platform heeds that; empty for all.
        """
        for batch_id in batch_ids:
            check_request(batch_id, "batchId")
        findings = self.look_ups.find(batch_ids, properties)
        failures = [error for error in findings.errors.values() if not isinstance(error, NotFoundError)]
        for failure in (findings.trouble, *failures):
            if failure is not None:
                raise failure
        return findings.batches

    def list_batches(
        self,
        *,
        dataset_id: str | None = None,
        external_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        statuses: Collection[str] = (),
        created_after: int | None = None,
        created_before: int | None = None,
        order_by: str = "asc:created",
        properties: Collection[str] = (),
    ) -> Iterator[Batch]:
        """Go through the batches that meet all filters, page by page.

        :param dataset_id: batches on this dataset.
        :param external_id: batches with this external id.
        :param tags: batches that have all of these tags with these values; names and values of letters, digits, ``-`` and ``_``.
        :param statuses: batches in one of these states.
        :param created_after: batches created after this moment, in epoch milliseconds.
        :param created_before: batches created before this moment, in epoch milliseconds.
        :param order_by: ``asc:`` or ``desc:`` and a field. Ascending order is stable while batches are added.
        :param properties: the top-level fields that are needed; empty for all.
        """
        if dataset_id is not None:
            check_request(dataset_id, "datasetId")
        if external_id is not None:
            check_request(external_id, "externalId")
        filters = {
            "dataSet": dataset_id,
            "externalId": external_id,
            "tags": _tags_filter(tags or {}),
            "status": ",".join(statuses) or None,
            "createdAfter": created_after,
            "createdBefore": created_before,
            "orderBy": order_by,
        }
        params = {name: str(value) for name, value in filters.items() if value is not None}
        for batch_id, record in self._pages("batches", params | _properties(properties)):
            yield Batch.parse(batch_id, record)

    def promoted_batches(
        self, dataset_ids: Collection[str], completed_from: int, *, start: int = 0
    ) -> list[Batch]:
        """Give one page of the batches whose data are in any of these datasets, those that were promoted first at the front.

        A page may be shorter than others even if it is not the last one: the platform has limits that depend on the credential.

        :param dataset_ids: a few datasets, which must fit into an address.
        :param completed_from: only batches promoted at this moment or later, in epoch milliseconds.
        :param start: how many of them to leave out.
        """
        for dataset_id in dataset_ids:
            check_request(dataset_id, "datasetId")
        params = {
            "dataSet": ",".join(dataset_ids),
            "status": "success,active",
            "property": f"completed>={completed_from}",
            "orderBy": "asc:completed",
            "limit": str(PAGE_SIZE),
            "start": str(start),
        }
        page = self._read("batches", params | _properties(ARRIVAL_PROPERTIES))
        return [Batch.parse(batch_id, record) for batch_id, record in page.items()]

    def get_dataset(self, dataset_id: str) -> Dataset:
        """Look one dataset up.

        :raises NotFoundError: the sandbox has no such dataset.
        """
        check_request(dataset_id, "datasetId")
        return Dataset.parse(dataset_id, self._look_up("dataSets", dataset_id))

    def list_datasets(self, *, name: str | None = None) -> Iterator[Dataset]:
        """Go through the datasets of the sandbox, page by page.

        :param name: only those with this name.
        """
        params = {"orderBy": "asc:created"} | ({"name": name} if name is not None else {})
        for dataset_id, record in self._pages("dataSets", params):
            yield Dataset.parse(dataset_id, record)

    # Schema Registry: https://developer.adobe.com/experience-platform-apis/references/schema-registry/

    def get_schema(self, schema_id: str, version: int = 1) -> Mapping[str, Any]:
        """Fetch an XDM schema, with everything that it refers to written out.

        :param schema_id: its ``$id``, as a dataset names it.
        :param version: its major version; the newest minor one is given.
        :raises NotFoundError: the Schema Registry does not know it.
        """
        if not schema_id.startswith("https://"):
            raise InvalidInputError("schema_id", schema_id, "the address that is a schema's $id")
        container = "global" if schema_id.startswith(GLOBAL_SCHEMAS) else "tenant"
        url = f"{self.settings.host}{REGISTRY}/{container}/schemas/{quote(schema_id, safe='')}"
        accept = f"application/vnd.adobe.xed-full+json; version={version}"
        answer: Mapping[str, Any] = self._transport.send(
            Call("GET", url, Repeat.SAFE, headers={"Accept": accept}, answer="schema")
        )
        return answer

    # Sandboxes: https://developer.adobe.com/experience-platform-apis/references/sandbox/

    def list_sandboxes(self) -> tuple[str, ...]:
        """Give the names of the sandboxes that the credential may use."""
        names: dict[str, None] = {}
        while True:
            # The API takes both or neither.
            params = {"limit": str(SANDBOXES_PAGE_SIZE), "offset": str(len(names))}
            call = Call(
                "GET", f"{self.settings.host}{SANDBOXES}", Repeat.SAFE, params=params, answer="sandboxes"
            )
            page = dict.fromkeys(sandbox["name"] for sandbox in self._transport.send(call)["sandboxes"])
            is_last = len(page) < SANDBOXES_PAGE_SIZE or page.keys() <= names.keys()
            names |= page
            if is_last:
                return tuple(names)

    def probe_sandbox(self) -> None:
        """Read as little as possible from the sandbox's Catalog, to learn whether that is allowed."""
        self._read("dataSets", {"limit": "1", "properties": "name"})

    def _look_up(self, kind: str, object_id: str) -> Mapping[str, Any]:
        records = self._read(f"{kind}/{object_id}", {})
        if object_id not in records:
            # Some versions of the Catalog answer an unknown id with an empty object.
            raise NotFoundError(
                Failure(
                    call=f"GET {CATALOG}/{kind}/{object_id}",
                    status=404,
                    title="the Catalog does not know it",
                    advice=ADVICE_BY_STATUS[404],
                )
            )
        return records[object_id]

    def _pages(self, kind: str, params: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        start = 0
        seen: set[str] = set()
        while True:
            page = self._read(kind, {**params, "limit": str(PAGE_SIZE), "start": str(start)})
            yield from ((key, record) for key, record in page.items() if key not in seen)
            # A Catalog that does not heed where a page starts gives the first one for ever.
            if len(page) < SHORTEST_FULL_PAGE or page.keys() <= seen:
                return
            seen |= page.keys()
            start += len(page)

    def _read(
        self, path: str, params: Mapping[str, str], *, answer: str = "objectsById"
    ) -> dict[str, Mapping[str, Any]]:
        call = Call("GET", f"{self.settings.host}{CATALOG}/{path}", Repeat.SAFE, params=params, answer=answer)
        records: dict[str, Mapping[str, Any]] = self._transport.send(call)
        return records


def _tags_filter(tags: Mapping[str, str]) -> str | None:
    for text in (*tags, *tags.values()):
        # A colon, a comma or an asterisk would be read as a part of the filter, and nothing says how to escape them.
        if not TAG_FILTER_TEXT.fullmatch(text):
            raise InvalidInputError("tags", text, "letters, digits, - and _ in a filter")
    return ",".join(f"{name}:{value}" for name, value in tags.items()) or None


def _properties(properties: Iterable[str]) -> dict[str, str]:
    names = ",".join(properties)
    return {"properties": names} if names else {}
