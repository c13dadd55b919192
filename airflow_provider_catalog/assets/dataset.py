"""Datasets as Airflow's assets: ``aep://<organisation>/<sandbox>/<dataset id>``.

The ``@`` in the organisation's id is written ``%40``. A raw one would make a user of what stands before it, as in other URLs, and
Airflow 2.11 and 3.0 cut users off: the datasets of all organisations would be one and the same. Organisations are written in
upper case before it, since Airflow compares URIs letter by letter.

See https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/assets.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow_provider_catalog.api.errors import InvalidInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset

SCHEME = "aep"
FORM = (
    "aep://<organisation with %40 for its @>/<lower-case name of a sandbox>/<dataset id>, such as "
    "aep://0123456789ABCDEF01234567%40AdobeOrg/dev/5c8c3c555033b814b69f947f"
)


@dataclass(frozen=True, kw_only=True)
class DatasetAddress:
    """Where a dataset is.

    :param ims_org_id: the organisation, such as ``0123456789ABCDEF01234567@AdobeOrg``; its letters' case makes no difference.
    :param sandbox_name: the sandbox's name in lower case.
    :param dataset_id: the dataset's id.
    :raises InvalidInputError: one of them is not usable; it says which, and what is. A ValueError as well.
    """

    ims_org_id: str
    sandbox_name: str
    dataset_id: str

    def __post_init__(self) -> None:
        from airflow_provider_catalog.api.settings import check_organisation, check_sandbox
        from airflow_provider_catalog.api.validation import check_request

        check_organisation(self.ims_org_id)
        check_sandbox(self.sandbox_name)
        check_request(self.dataset_id, "datasetId")
        object.__setattr__(self, "ims_org_id", canonical_organisation(self.ims_org_id))

    @classmethod
    def parse(cls, uri: str | SplitResult) -> DatasetAddress:
        """Read the URI of an asset.

        :raises InvalidInputError: it does not have the form; it says what is wrong with it. A ValueError as well.
        """
        parts = urlsplit(uri) if isinstance(uri, str) else uri
        names = parts.path.removeprefix("/").split("/")
        if parts.scheme != SCHEME:
            raise _malformed("scheme", parts.scheme)
        if "@" in parts.netloc:
            raise _malformed("organisation", "one with an @")
        if parts.query or parts.fragment:
            raise _malformed("end", "a query or a fragment")
        if len(names) != 2:
            raise _malformed("path", parts.path)
        try:
            return cls(ims_org_id=unquote(parts.netloc), sandbox_name=names[0], dataset_id=names[1])
        except InvalidInputError as error:
            raise _malformed(error.argument, error.given) from None

    @property
    def uri(self) -> str:
        """The URI of its asset, always the same for the same dataset."""
        return f"{SCHEME}://{quote(self.ims_org_id)}/{self.sandbox_name}/{self.dataset_id}"


def canonical_organisation(ims_org_id: str) -> str:
    """Give the one spelling of an organisation's id: connections may hold others, which mean the same."""
    return f"{ims_org_id.partition('@')[0].upper()}@AdobeOrg"


def dataset_asset(
    *, ims_org_id: str, sandbox_name: str, dataset_id: str, extra: Mapping[str, Any] | None = None
) -> Asset:
    """Give the asset of a dataset, to schedule a DAG by or to put into the ``outlets`` of a task.

    It reads no connection, so that it costs nothing where a DAG file is parsed. In a task,
    :meth:`~airflow_provider_catalog.hooks.catalog.CatalogHook.dataset_asset` gives that of a connection.

    :param ims_org_id: the organisation, such as ``0123456789ABCDEF01234567@AdobeOrg``.
    :param sandbox_name: the sandbox's name in lower case.
    :param dataset_id: the dataset's id.
    :param extra: what Airflow is to keep on the asset.
    :return: on Airflow 2.11 a ``Dataset``.
    :raises InvalidInputError: an argument is not usable. A ValueError as well.
    """
    from airflow.providers.common.compat.sdk import Asset

    address = DatasetAddress(ims_org_id=ims_org_id, sandbox_name=sandbox_name, dataset_id=dataset_id)
    return Asset(uri=address.uri, extra=dict(extra) if extra is not None else None)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Give the URI of an asset the form in which Airflow keeps it. Airflow calls this for each ``aep:`` URI.

    :raises InvalidInputError: it is malformed. A ValueError, for which Airflow 3 refuses the DAG file; Airflow 2.11 warns, unless
        its setting ``strict_dataset_uri_validation`` is on.
    """
    return urlsplit(DatasetAddress.parse(uri).uri)


def _malformed(part: str, given: object) -> InvalidInputError:
    return InvalidInputError(f"{part} in the URI of an asset", given, FORM)
