"""The exceptions: what they say, and that they arrive whole where they are sent as bytes."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from airflow_provider_catalog.api import errors
from airflow_provider_catalog.api.errors import (
    ApiError,
    AuthenticationError,
    BatchError,
    BatchFailedError,
    BatchLostError,
    BatchStalledError,
    BatchStateError,
    CatalogError,
    Failure,
    FileChangedError,
    FileSpoiledError,
    InvalidInputError,
    InvalidRecordsError,
    LostSightError,
    NoDiagnosticsError,
    NotFoundError,
    OutcomeUnknownError,
    RowsRejectedError,
    SourceError,
    StoppedError,
    UnreachableError,
    UploadUnknownError,
)
from airflow_provider_catalog.api.models import Batch

FAILURE = Failure(
    call="GET /data/foundation/catalog/batches/B1",
    status=503,
    code="CATALOG-7",
    title="Not now",
    detail="The store is busy.",
    request_id="r-1",
    advice="Wait.",
    retry_after=2.5,
)
BATCH = Batch.parse(
    "B1",
    {
        "status": "failed",
        "errors": [{"code": "106", "description": "An empty file."}],
        "tags": {"team": ["a"]},
    },
)
COUNTED_BATCH = Batch.parse(
    "B2",
    {
        "status": "success",
        "errors": [{"code": "INGEST-1401-400", "recordCount": 1}],
        "metrics": {"inputRecordCount": 4, "failedRecordCount": 1},
    },
)

EXAMPLES: list[tuple[CatalogError, bool, str]] = [
    (InvalidInputError("files", "x.json", "a file that exists"), True, "files: got 'x.json', expected a file that exists"),
    (ApiError(FAILURE), False,
     "GET /data/foundation/catalog/batches/B1 was answered with 503; code CATALOG-7; Not now; The store is busy; "
     "request id r-1. Wait."),
    (ApiError(Failure("GET /", 400)), True, "GET / was answered with 400."),
    (AuthenticationError(Failure("GET /", 401, title="No")), True, "GET / was answered with 401; No."),
    (NotFoundError(Failure("GET /", 404)), True, "GET / was answered with 404."),
    (UnreachableError("GET /", "it rained"), False, "GET / got no usable answer: it rained."),
    (UnreachableError("GET /", "it rained", sent=False, lasting=True), True, "GET / got no usable answer: it rained."),
    (OutcomeUnknownError("It rained.", "run-1"), False,
     "It rained. The platform may have opened a batch all the same; left alone, it stays empty and is abandoned by the "
     "platform. Search the Catalog for externalId run-1 to find it."),
    (OutcomeUnknownError("It rained.", None), False,
     "It rained. The platform may have opened a batch all the same; left alone, it stays empty and is abandoned by the "
     "platform."),
    (LostSightError("Nothing was heard."), False, "Nothing was heard."),
    (UploadUnknownError("It rained."), False, "It rained."),
    (SourceError("It rained."), False, "It rained."),
    (InvalidRecordsError("2 of 3 are wrong.", ("a.json line 1: is no JSON", "b.json line 2, /a: null"), (("/a null", 1000),)),
     True, "2 of 3 are wrong. The first: a.json line 1: is no JSON; b.json line 2, /a: null. All: 1,000 x /a null."),
    (FileChangedError("It grew."), False, "It grew."),
    (FileSpoiledError("a.parquet", "it rained."), False,
     "a.parquet can't be completed in this batch: it rained. The batch must be aborted, and the data loaded with a new one."),
    (StoppedError("Stopped."), False, "Stopped."),
    (BatchFailedError(BATCH), True, "Batch B1 ended as 'failed'. Errors: 106: An empty file."),
    (BatchStalledError(BATCH), True,
     "Batch B1 is stalled: the platform has used up its own retries. Ask Adobe's support, naming the batch, or load the data "
     "with a new batch. Errors: 106: An empty file."),
    (BatchLostError(BATCH), False,
     "Batch B1 was aborted or failed while files were put into it. Was it aborted by hand? The next try opens a new batch."),
    (BatchStateError(BATCH, "reverted", "Abort it."), True, "Batch B1 is 'failed' and can't be reverted. Abort it."),
    (NoDiagnosticsError(BATCH), True,
     "Rows of batch B1 were rejected, but the platform has no file that tells which. Either the batch was opened without error "
     "diagnostics (enable_error_diagnostics), or it ended more than 30 days ago, for which time they are kept at most. "
     "Errors: 106: An empty file."),
    (RowsRejectedError(COUNTED_BATCH, "1%"), True,
     "Batch B2 is promoted, but 1 of its 4 rows (25.00%) were rejected, and fail_on_rejected is 1%. "
     "Errors: INGEST-1401-400 (1 records)"),
    (RowsRejectedError(BATCH, "1%"), True,
     "Batch B1 is promoted, but an unknown number of its rows was rejected (the platform does not count those of CSV), and "
     "fail_on_rejected is 1%. What is not known counts as too many: leave fail_on_rejected out for such batches. "
     "Errors: 106: An empty file."),
]  # fmt: skip

each_error = pytest.mark.parametrize(
    ("error", "permanent", "text"), EXAMPLES, ids=[type(row[0]).__name__ for row in EXAMPLES]
)


def test_there_is_an_example_of_each() -> None:
    public = {
        kind for name, kind in vars(errors).items() if name.endswith("Error") and not name.startswith("_")
    }
    assert {type(row[0]) for row in EXAMPLES} == public - {CatalogError, BatchError}
    assert all(issubclass(kind, CatalogError) for kind in public)


@each_error
def test_each_says_what_happened(error: CatalogError, permanent: bool, text: str) -> None:
    assert str(error) == text
    assert error.permanent is permanent


@each_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_each_survives_pickling(error: CatalogError, permanent: bool, text: str, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert (str(again), again.permanent) == (text, permanent)


@each_error
def test_each_can_be_copied_and_printed(error: CatalogError, permanent: bool, text: str) -> None:
    assert vars(copy.deepcopy(error)) == vars(error)
    assert text in "".join(traceback.format_exception(error))


def test_a_long_value_is_cut_in_a_refusal() -> None:
    assert len(str(InvalidInputError("files", "x" * 10_000, "less"))) < 200
