"""The exceptions of this package.

::

    CatalogError
    ├── InvalidInputError        refused before anything was sent
    ├── ApiError                 the platform answered with an error
    │   ├── AuthenticationError      it does not accept the credentials
    │   └── NotFoundError            it does not know what was asked for
    ├── UnreachableError         no usable answer came
    ├── OutcomeUnknownError      a batch was asked for; whether it exists is not known
    ├── UploadUnknownError       a part of a file was sent; whether the platform has it is not known
    ├── LostSightError           nothing useful was heard of a batch for too long
    ├── SourceError              a source file could not be read
    ├── InvalidRecordsError      records do not fit the dataset's schema; nothing was sent
    ├── FileChangedError         a source file changed while it was uploaded
    ├── FileSpoiledError         what the platform has of a large file can't become the whole of it any more
    ├── StoppedError             an upload was stopped
    └── BatchError               something about one batch
        ├── BatchFailedError         the platform gave it up
        ├── BatchStalledError        the platform is stuck on it
        ├── BatchLostError           somebody else ended it while it was loading
        ├── BatchStateError          it is in a state in which the call makes no sense
        ├── NoDiagnosticsError       nothing tells which of its rows were rejected
        └── RowsRejectedError        it is promoted, but too many of its rows were rejected

``permanent`` tells whether another try could do better. All of them survive pickling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_catalog.api.models import Batch

GIVEN_TEXT_LIMIT = 120


class CatalogError(Exception):
    """Anything that this package raises on purpose."""

    @property
    def permanent(self) -> bool:
        """Whether the same attempt would fail again."""
        return True


class InvalidInputError(CatalogError, ValueError):
    """An argument or a connection field is not usable. Nothing was sent.

    :param argument: what was wrong, by the name that the user knows it by.
    :param given: the value, or a text that describes it where the value is a secret.
    :param allowed: what would be accepted.
    """

    def __init__(self, argument: str, given: object, allowed: str) -> None:
        super().__init__(argument, given, allowed)
        self.argument = argument
        self.given = given
        self.allowed = allowed

    def __str__(self) -> str:
        given = repr(self.given)
        if len(given) > GIVEN_TEXT_LIMIT:
            given = f"{given[:GIVEN_TEXT_LIMIT]}…"
        return f"{self.argument}: got {given}, expected {self.allowed}"


@dataclass(frozen=True)
class Failure:
    """What is known of a call that the platform answered with an error. Holds no secret.

    :param call: the method and path of the call, without query.
    :param status: the HTTP status.
    :param code: Adobe's own code, such as ``401013`` or ``XDM-1012-404``.
    :param title: Adobe's short text.
    :param detail: Adobe's longer text.
    :param request_id: the id under which Adobe's support finds the call.
    :param advice: what to do about it.
    :param retry_after: how long the platform asks to wait, in seconds.
    """

    call: str
    status: int
    code: str | None = None
    title: str | None = None
    detail: str | None = None
    request_id: str | None = None
    advice: str | None = None
    retry_after: float | None = None

    def __str__(self) -> str:
        parts = [f"{self.call} was answered with {self.status}"]
        if self.code:
            parts.append(f"code {self.code}")
        parts += [text for text in (self.title, self.detail) if text]
        if self.request_id:
            parts.append(f"request id {self.request_id}")
        sentence = ", ".join(parts[:1]) + "".join(f"; {part.rstrip('.')}" for part in parts[1:]) + "."
        return f"{sentence} {self.advice}" if self.advice else sentence


# Beside what the platform documents: what a gateway or a content network on the way says of an origin in trouble.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, *range(520, 528), 529, 530})


class ApiError(CatalogError):
    """The platform answered with an error; ``failure`` says which."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    @property
    def permanent(self) -> bool:
        """True for every status but the ones that pass by themselves."""
        return self.failure.status not in TRANSIENT_STATUSES


class AuthenticationError(ApiError):
    """The credentials, or a token fresh from IMS, are not accepted."""


class NotFoundError(ApiError):
    """The platform does not know the batch, dataset or file in this sandbox."""


class UnreachableError(CatalogError):
    """No usable answer came: no connection, a time-out, a lost or unreadable answer.

    :param call: the method and path of the call.
    :param reason: what happened.
    :param sent: whether the platform may have received the call.
    :param lasting: whether another try would end the same way, as with an untrusted certificate.
    """

    def __init__(self, call: str, reason: str, *, sent: bool = True, lasting: bool = False) -> None:
        super().__init__(call, reason)
        self.call = call
        self.reason = reason
        self.sent = sent
        self.lasting = lasting

    @property
    def permanent(self) -> bool:
        """False unless the cause is one that stays."""
        return self.lasting

    def __str__(self) -> str:
        return f"{self.call} got no usable answer: {self.reason}."


class OutcomeUnknownError(CatalogError):
    """``POST /batches`` was sent, and its answer was lost: the batch may or may not exist."""

    def __init__(self, reason: str, external_id: str | None) -> None:
        super().__init__(reason, external_id)
        self.reason = reason
        self.external_id = external_id

    @property
    def permanent(self) -> bool:
        """False: another try may open a batch."""
        return False

    def __str__(self) -> str:
        trace = (
            f" Search the Catalog for externalId {self.external_id} to find it." if self.external_id else ""
        )
        return (
            f"{self.reason} The platform may have opened a batch all the same; left alone, it stays empty and "
            f"is abandoned by the platform.{trace}"
        )


class UploadUnknownError(CatalogError):
    """A call of the large-file protocol was sent, and its answer was lost: it may or may not have been worked on."""

    @property
    def permanent(self) -> bool:
        """False: what was received can be looked up."""
        return False


class LostSightError(CatalogError):
    """Nothing useful was heard of a batch for longer than the wait tolerates; the batch itself may be well."""

    @property
    def permanent(self) -> bool:
        """False: the platform may be back at the next try."""
        return False


class SourceError(CatalogError):
    """The bytes of a source file could not be read."""

    @property
    def permanent(self) -> bool:
        """False: its store may be in better health at the next try."""
        return False


class InvalidRecordsError(CatalogError):
    """Records, or the columns of a Parquet file, do not fit the schema of the dataset. Nothing was sent.

    :param summary: how much was looked at, and how much of it is wrong.
    :param examples: the first errors, one text each; without any value of a record.
    :param counts: all errors by kind: a text and how often it came.
    """

    def __init__(self, summary: str, examples: tuple[str, ...], counts: tuple[tuple[str, int], ...]) -> None:
        super().__init__(summary, examples, counts)
        self.summary = summary
        self.examples = examples
        self.counts = counts

    def __str__(self) -> str:
        parts = [self.summary]
        if self.examples:
            parts.append("The first: " + "; ".join(self.examples) + ".")
        if self.counts:
            parts.append("All: " + "; ".join(f"{count:,} x {kind}" for kind, count in self.counts) + ".")
        return " ".join(parts)


class FileChangedError(CatalogError):
    """A source file changed while it was being uploaded, so that what arrived is a mixture."""

    @property
    def permanent(self) -> bool:
        """False: a file that has come to rest can be uploaded."""
        return False


class FileSpoiledError(CatalogError):
    """What the platform has of a large file can't become the whole of it any more, so that its batch is of no use.

    :param remote_name: the file's path inside the batch.
    :param reason: what happened.
    """

    def __init__(self, remote_name: str, reason: str) -> None:
        super().__init__(remote_name, reason)
        self.remote_name = remote_name
        self.reason = reason

    @property
    def permanent(self) -> bool:
        """False: with a new batch the file begins anew."""
        return False

    def __str__(self) -> str:
        return (
            f"{self.remote_name} can't be completed in this batch: {self.reason.rstrip('.')}. "
            "The batch must be aborted, and the data loaded with a new one."
        )


class StoppedError(CatalogError):
    """An upload was stopped before it was done."""

    @property
    def permanent(self) -> bool:
        """False: another try goes on."""
        return False


class BatchError(CatalogError):
    """Something about one batch; ``batch`` is how the Catalog last showed it."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self.batch = batch


class BatchFailedError(BatchError):
    """The platform gave the batch up; its errors are in the text. Fix the data and make a new batch."""

    def __str__(self) -> str:
        return f"Batch {self.batch.id} ended as {self.batch.status!r}. {self.batch.explanation}"


class BatchStalledError(BatchError):
    """The platform has used up its own retries on the batch; only Adobe can move it."""

    def __str__(self) -> str:
        return (
            f"Batch {self.batch.id} is stalled: the platform has used up its own retries. "
            f"Ask Adobe's support, naming the batch, or load the data with a new batch. {self.batch.explanation}"
        )


class BatchLostError(BatchError):
    """Somebody has ended the batch while files were put into it, or goes on doing so."""

    @property
    def permanent(self) -> bool:
        """False: another try opens a new batch."""
        return False

    def __str__(self) -> str:
        return (
            f"Batch {self.batch.id} was aborted or failed while files were put into it. "
            "Was it aborted by hand? The next try opens a new batch."
        )


class BatchStateError(BatchError):
    """The batch is in a state in which what was asked for makes no sense."""

    def __init__(self, batch: Batch, wish: str, advice: str) -> None:
        super().__init__(batch)
        self.args = (batch, wish, advice)
        self.wish = wish
        self.advice = advice

    def __str__(self) -> str:
        return f"Batch {self.batch.id} is {self.batch.status!r} and can't be {self.wish}. {self.advice}"


class NoDiagnosticsError(BatchError):
    """Rows of the batch were rejected, and the platform has no file that tells which."""

    def __str__(self) -> str:
        return (
            f"Rows of batch {self.batch.id} were rejected, but the platform has no file that tells which. Either the batch "
            "was opened without error diagnostics (enable_error_diagnostics), or it ended more than 30 days ago, for which "
            f"time they are kept at most. {self.batch.explanation}"
        )


class RowsRejectedError(BatchError):
    """The batch is promoted, but as many of its rows were rejected as its user calls a failure, or nobody knows how many.

    :param batch: how the Catalog last showed it.
    :param limit: the user's ``fail_on_rejected``.
    """

    def __init__(self, batch: Batch, limit: str) -> None:
        super().__init__(batch)
        self.args = (batch, limit)
        self.limit = limit

    def __str__(self) -> str:
        batch = self.batch
        text = f"Batch {batch.id} is promoted, but {batch.rejection}, and fail_on_rejected is {self.limit}."
        if batch.records_failed is None or batch.records_total is None:
            text += " What is not known counts as too many: leave fail_on_rejected out for such batches."
        return f"{text} {batch.explanation}"
