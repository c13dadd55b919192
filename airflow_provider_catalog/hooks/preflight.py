"""What users want to be looked at in their files before anything of them is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import IO, Any

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.hooks.targets import new_file
from airflow_provider_catalog.ingest.plan import LeftOut
from airflow_provider_catalog.ingest.preflight.inspection import OnInvalid, checked_layout, inspect
from airflow_provider_catalog.ingest.sources import SourceFile


@dataclass(frozen=True)
class Preflight:
    """Validation against the schema of the dataset.

    :param on_invalid: ``fail``, ``warn`` or ``drop``.
    :param share: of the records, how many are validated.
    :param records_path: where those are written that are dropped.
    """

    on_invalid: str
    share: float
    records_path: object

    def look(
        self,
        client: CatalogClient,
        dataset_id: str,
        files: Sequence[SourceFile],
        input_format: Mapping[str, Any],
        stop: Callable[[], None],
        on_schema: Callable[[Mapping[str, Any]], None],
    ) -> tuple[Sequence[SourceFile], LeftOut]:
        """Validate all files, and give those that are to be loaded and the lines in them that are not.

        :param client: reaches the sandbox of the dataset.
        :param dataset_id: the dataset.
        :param files: the files.
        :param input_format: the batch's ``inputFormat``.
        :param stop: called from time to time; what it raises ends the validation.
        :param on_schema: told the dataset's schema.
        :raises InvalidInputError: this can't be done with this format, or the dataset has no schema.
        :raises InvalidRecordsError: some records do not fit, and that is not to be passed over.
        """
        on_invalid = OnInvalid(self.on_invalid)
        checked_layout(input_format, on_invalid, self.share, keeps_dropped=self.records_path is not None)
        dataset = client.get_dataset(dataset_id)
        if dataset.schema_id is None:
            allowed = "None, since the Catalog names no schema of this dataset"
            raise InvalidInputError("validate", "schema", allowed)
        schema = client.get_schema(dataset.schema_id, dataset.schema_version or 1)
        on_schema(schema)
        with self._dropped_records(on_invalid) as dropped:
            verdict = inspect(
                files,
                input_format,
                schema,
                on_invalid=on_invalid,
                sample=self.share,
                dropped=dropped,
                stop=stop,
            )
        left = [file for file in files if file.remote_name not in verdict.emptied]
        return left, verdict.drops

    def _dropped_records(self, on_invalid: OnInvalid) -> AbstractContextManager[IO[bytes] | None]:
        if on_invalid is not OnInvalid.DROP:
            return nullcontext()
        return new_file("invalid_records_path", self.records_path)
