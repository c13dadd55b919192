"""The collections of the platform, each kept in the store: datasets and schemas, and batches with their files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from .batches import Batch, Forced, Json, Opening, Outcome, StoredFile
from .chunks import Chunk
from .clock import Clock
from .lifecycle import SUCCEEDED, Status, Step
from .store import Store
from .uploads import Upload

Owner = TypeVar("Owner")


class Documents:
    """JSON documents of one kind, by sandbox and id."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self._kind = kind
        self._by_sandbox: defaultdict[str, dict[str, Json]] = defaultdict(dict)
        for _, body in store.load(kind):
            self._by_sandbox[body["sandbox"]][body["id"]] = body["document"]

    def get(self, sandbox: str, document_id: str) -> Json | None:
        """Return a document, or None."""
        return self._by_sandbox[sandbox].get(document_id)

    def all(self, sandbox: str) -> dict[str, Json]:
        """Return all documents of a sandbox by id."""
        return self._by_sandbox[sandbox]

    def put(self, sandbox: str, document_id: str, document: Json) -> None:
        """Add or replace a document."""
        self._by_sandbox[sandbox][document_id] = document
        body = {"sandbox": sandbox, "id": document_id, "document": document}
        self._store.save(self._kind, f"{sandbox}/{document_id}", body)


class BatchBook:
    """All batches, and which of them replaced which. `last_saved_at` is when one was changed last, 0 for never."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.last_saved_at = 0.0
        self._batches: dict[str, Batch] = {}
        self._uploading: dict[str, Batch] = {}
        self._successors: defaultdict[tuple[str, str, str], list[Batch]] = defaultdict(list)
        for _, body in store.load("batch"):
            self.last_saved_at = max(self.last_saved_at, body.pop("saved_at", body["created_at"]))
            self._enter(_batch(body))
        for batch, body in self._load_parts("file", "batch", self._batches):
            file = StoredFile(**body["file"])
            batch.files[file.path] = file
        self._load_uploads()

    def get(self, sandbox: str, batch_id: str) -> Batch | None:
        """Return a batch, or None if this sandbox has no such batch."""
        batch = self._batches.get(batch_id)
        return batch if batch and batch.sandbox == sandbox else None

    def find(self, batch_id: str) -> Batch | None:
        """Return a batch of any sandbox, or None."""
        return self._batches.get(batch_id)

    def all(self) -> Iterator[Batch]:
        """Yield every batch, the oldest first."""
        yield from self._batches.values()

    def in_sandbox(self, sandbox: str) -> Iterator[Batch]:
        """Yield the batches of a sandbox, the oldest first."""
        return (batch for batch in self._batches.values() if batch.sandbox == sandbox)

    def add(self, batch: Batch) -> None:
        """Take in a new batch."""
        self._enter(batch)
        self.save(batch)

    def save(self, batch: Batch) -> None:
        """Keep what was changed in a batch; its files and uploads are kept one by one, as they come and go."""
        self.last_saved_at = self._clock.now()
        body = {name: value for name, value in vars(batch).items() if name not in ("files", "uploads")}
        self._store.save("batch", batch.id, {**_plain(body), "saved_at": self.last_saved_at})

    def put_file(self, batch: Batch, file: StoredFile) -> bool:
        """Add a file to a batch, replacing the one at its path; say whether there was none."""
        replaced = batch.files.get(file.path)
        batch.files[file.path] = file
        self._store.save("file", _key(batch, file.path), {"batch": batch.id, "file": asdict(file)})
        if replaced:
            self._store.file(replaced.stored_as).unlink(missing_ok=True)
        return replaced is None

    def begin_upload(self, batch: Batch, upload: Upload) -> None:
        """Add the upload of a large file to a batch."""
        batch.uploads[upload.path] = upload
        self._uploading[batch.id] = batch
        body = {"batch": batch.id, "path": upload.path, "stored_as": upload.stored_as}
        self._store.save("upload", _key(batch, upload.path), body)

    def keep_newest_chunk(self, upload: Upload) -> None:
        """Keep the chunk that has arrived last."""
        number = len(upload.chunks) - 1
        body = {"upload": upload.stored_as, "chunk": asdict(upload.chunks[number])}
        self._store.save("chunk", _chunk_key(upload, number), body)

    def end_upload(self, batch: Batch, upload: Upload, file: StoredFile) -> None:
        """Add the file that an upload has become to its batch."""
        with self._store.at_once():
            self.put_file(batch, file)
            self._forget_upload(batch, upload)

    def drop_uploads(self, batch: Batch) -> None:
        """Delete what has arrived of the large files of a batch that were not completed."""
        for path in list(batch.uploads):
            self.drop_path(batch, path)

    def drop_path(self, batch: Batch, path: str) -> None:
        """Delete the file at a path, or what has arrived of it, if there is any."""
        if upload := batch.uploads.get(path):
            upload.stop()
            with self._store.at_once():
                self._forget_upload(batch, upload)
            self._store.delete([upload.stored_as])
        if file := batch.files.pop(path, None):
            self._store.remove("file", [_key(batch, path)])
            self._store.delete([file.stored_as])

    def with_uploads(self) -> list[Batch]:
        """Return the batches that have large files which are not completed."""
        return list(self._uploading.values())

    def stored_names(self) -> set[str]:
        """Return the names of all files on disk that belong to a batch."""
        files = (batch.files.values() for batch in self.all())
        written = (batch.outcome.written for batch in self.all() if batch.outcome)
        names = {file.stored_as for group in (*files, *written) for file in group}
        return names | {each.stored_as for batch in self.with_uploads() for each in batch.uploads.values()}

    def steps(self, batch: Batch, at: float) -> list[Step]:
        """Return the statuses that a batch had up to a moment, counting its replacement by another batch."""
        steps = batch.begun(at)
        replaced = self.replacement(batch, at)
        if replaced and steps and steps[-1].status in SUCCEEDED:
            steps.append(Step(max(replaced[1], steps[-1].at), Status.INACTIVE))
        return steps

    def status(self, batch: Batch, at: float) -> str:
        """Return the status of a batch at a moment; at one before it was opened, that in which it is opened."""
        if batch.forced and batch.forced.status:
            return batch.forced.status
        return (self.steps(batch, at) or batch.plan[:1])[-1].status

    def replacement(self, batch: Batch, at: float) -> tuple[str, float] | None:
        """Return the batch that has replaced this one by a moment, and when it did."""
        promoted_at = batch.succeeded_at
        if promoted_at is None:
            return None
        names = (("id", batch.id), ("externalId", batch.external_id))
        for successor in (
            each for name in names for each in self._successors.get((batch.sandbox, *name), ())
        ):
            replaced_at = successor.succeeded_at
            # What is promoted later, perhaps under an external id that is used again, is no predecessor.
            if successor is not batch and replaced_at is not None and promoted_at <= replaced_at <= at:
                return successor.id, replaced_at
        return None

    def _load_uploads(self) -> None:
        by_name: dict[str, Upload] = {}
        for batch, body in self._load_parts("upload", "batch", self._batches):
            upload = Upload(body["path"], body["stored_as"])
            batch.uploads[upload.path] = by_name[upload.stored_as] = upload
            self._uploading[batch.id] = batch
        for upload, body in self._load_parts("chunk", "upload", by_name):
            upload.chunks.append(Chunk(**body["chunk"]))

    def _load_parts(self, kind: str, field: str, owners: Mapping[str, Owner]) -> Iterator[tuple[Owner, Json]]:
        """Yield the objects of a kind, each after its owner, whose name is in a field; forget those that have none."""
        for key, body in self._store.load(kind):
            owner = owners.get(body[field])
            if owner is None:
                self._store.remove(kind, [key])
            else:
                yield owner, body

    def _forget_upload(self, batch: Batch, upload: Upload) -> None:
        del batch.uploads[upload.path]
        if not batch.uploads:
            del self._uploading[batch.id]
        self._store.remove("upload", [_key(batch, upload.path)])
        self._store.remove("chunk", (_chunk_key(upload, number) for number in range(len(upload.chunks))))

    def _enter(self, batch: Batch) -> None:
        self._batches[batch.id] = batch
        by_id, by_external_id = batch.predecessors
        for field, names in (("id", by_id), ("externalId", by_external_id)):
            for name in dict.fromkeys(names):
                self._successors[batch.sandbox, field, name].append(batch)


def _key(batch: Batch, path: str) -> str:
    return f"{batch.id}/{path}"


def _chunk_key(upload: Upload, number: int) -> str:
    return f"{upload.stored_as}/{number:09}"


def _plain(body: dict[str, Any]) -> Json:
    """Return the fields of a batch as JSON values."""
    outcome, forced = body["outcome"], body["forced"]
    return {
        **body,
        "opening": asdict(body["opening"]),
        "plan": [[step.at, step.status] for step in body["plan"]],
        "outcome": asdict(outcome) if outcome else None,
        "forced": asdict(forced) if forced else None,
    }


def _batch(body: Json) -> Batch:
    """Return the batch that `_plain` wrote down."""
    outcome, forced = body["outcome"], body["forced"]
    fields = {
        **body,
        "opening": Opening(**body["opening"]),
        "plan": [Step(at, status) for at, status in body["plan"]],
        "outcome": _outcome(outcome) if outcome else None,
        "forced": Forced(**forced) if forced else None,
    }
    return Batch(**fields)


def _outcome(body: Json) -> Outcome:
    files = {
        name: tuple(StoredFile(**file) for file in body.get(name, ())) for name in ("reports", "rewritten")
    }
    return Outcome(**{**body, **files})
