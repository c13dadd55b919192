"""The files of a plan into a batch: several at once, each repeated by itself, all stopped at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import InvalidInputError, NotFoundError
from airflow_provider_catalog.api.models import Batch
from airflow_provider_catalog.api.validation import check_request
from airflow_provider_catalog.ingest import pace
from airflow_provider_catalog.ingest.chunks import LargeUpload
from airflow_provider_catalog.ingest.crew import Stop, do_all
from airflow_provider_catalog.ingest.parts import LargeFile, Part
from airflow_provider_catalog.ingest.plan import UploadPlan
from airflow_provider_catalog.ingest.progress import Counted, Progress

log = logging.getLogger(__name__)

DEFAULT_PARALLEL = 4
MOST_PARALLEL = 32


def checked_parallel(value: object) -> int:
    """Check how many requests may be under way at once.

    :raises InvalidInputError: it is no number from 1 to 32.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_PARALLEL:
        return value
    raise InvalidInputError("max_parallel_uploads", value, f"a whole number from 1 to {MOST_PARALLEL}")


def loading_batch(client: CatalogClient, batch_id: str) -> Batch:
    """Look up a batch that was opened before. The Catalog may show it late.

    :raises NotFoundError: the Catalog has not shown it for as long as one is patient with it.
    """
    deadline = pace.now() + pace.CATALOG_PATIENCE
    while True:
        try:
            return client.get_batch(batch_id)
        except NotFoundError:
            if pace.now() >= deadline:
                raise
        pace.sleep(pace.LOOK_PAUSE)


class Upload:
    """One plan on its way into one batch.

    A part is taken for uploaded if the platform has as many bytes of it as it has, and nothing in it was written to since the
    batch was opened. A platform that does not tell gets the part again, which replaces it. Of a large file only those chunks are
    sent that the platform does not have.

    :param client: reaches the sandbox of the batch.
    :param batch: a batch that is still loading. One that the Catalog has not shown yet is empty.
    :param dataset_id: the dataset it was opened on.
    :param plan: what to upload.
    :param parallel: how many requests may be under way at the same time.
    :param check_in: called from time to time in the thread that has called :meth:`run`; what it raises stops the upload.
    :raises InvalidInputError: an argument is not usable.
    """

    def __init__(
        self,
        client: CatalogClient,
        batch: Batch,
        dataset_id: str,
        plan: UploadPlan,
        *,
        parallel: int = DEFAULT_PARALLEL,
        check_in: Callable[[], None] = lambda: None,
    ) -> None:
        check_request(batch.id, "batchId")
        check_request(dataset_id, "datasetId")
        self._urls = [client.file_url(batch.id, dataset_id, name) for name in plan.names]
        self._stop = Stop()
        self._client = client.pausing(self._stop.pause)
        self._batch = batch
        self._dataset_id = dataset_id
        self._plan = plan
        self._parallel = parallel
        self._check_in = check_in
        self._progress = Progress(len(plan.uploads), plan.size)
        self._large_files: list[LargeUpload] = []

    def run(self) -> None:
        """Upload all that the platform does not have yet. When this returns or raises, no request is under way any more.

        :raises FileChangedError: a file changed while it was sent in one piece, or a part of it was.
        :raises FileSpoiledError: what the platform has of a large file can't become the whole of it any more.
        """
        log.info("Uploading into batch %s, %d at a time: %s", self._batch.id, self._parallel, self._plan)
        # Tasks of Airflow should ask for secrets to be masked in their main thread.
        self._client.auth.token()
        self._do(self._jobs())
        # As late as possible: an ended file can't be told from one that was not accepted.
        self._do(each.end for each in self._large_files)
        self._progress.conclude()

    def _do(self, jobs: Iterator[Callable[[], None]]) -> None:
        do_all(jobs, self._parallel, self._stop, self._between_jobs)

    def _between_jobs(self) -> None:
        self._check_in()
        self._progress.report()

    def _jobs(self) -> Iterator[Callable[[], None]]:
        for each, url in zip(self._plan.uploads, self._urls, strict=True):
            if isinstance(each, LargeFile):
                opened = self._batch.created
                large = LargeUpload(self._client, each, url, opened, self._progress, self._stop)
                self._large_files.append(large)
                yield from large.jobs()
            else:
                yield partial(self._put, each)

    def _put(self, part: Part) -> None:
        is_there = self._is_there(part)
        if is_there:
            self._progress.was_there(part.size)
        else:
            body = Counted(part.open, self._progress, self._stop)
            self._client.put_file(self._batch.id, self._dataset_id, part.remote_name, body)
            log.debug("Uploaded %s: %d bytes.", part.remote_name, part.size)
        self._progress.file_done(was_there=is_there)

    def _is_there(self, part: Part) -> bool:
        opened, written = self._batch.created, part.written
        if opened is None or written is None or written >= opened:
            return False
        return self._client.received_size(self._batch.id, self._dataset_id, part.remote_name) == part.size
