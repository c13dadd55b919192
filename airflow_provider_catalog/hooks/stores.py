"""The stores of source files, each with the Airflow connection that its address names, and with no other."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.ingest.file_names import WEB, without_query
from airflow_provider_catalog.ingest.stored_files import connect_without_credentials

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def connect(address: str) -> tuple[AbstractFileSystem, str]:
    """Reach a store: ``s3://connection_id@bucket/key``, or without a connection's id for the store's default one.

    :param address: as Airflow's ``ObjectStoragePath`` takes it, or ``http(s)://`` for files that anybody may read.
    :return: the file system, and the path in it.
    :raises InvalidInputError: nothing that is installed reaches such a store, or the address holds a password.
    """
    parts = urlsplit(address)
    if parts.password is not None:
        allowed = "an address with a connection's id at most before the @"
        raise InvalidInputError("files", "an address with a password in it", allowed)
    if address.startswith(WEB):
        return _connect_to_web(address, parts.username)
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(address)
        return path.fs, path.path
    except (ValueError, ImportError) as error:
        allowed = f"a store whose Airflow provider is installed ({error})"
        raise InvalidInputError("files", without_query(address), allowed) from error


def _connect_to_web(address: str, username: str | None) -> tuple[AbstractFileSystem, str]:
    if username is not None:
        allowed = "an address that needs no credentials, since redirects could carry them elsewhere"
        raise InvalidInputError("files", "an address with a user in it", allowed)
    try:
        return connect_without_credentials(address)
    except ImportError as error:
        allowed = "an address of the web only where airflow-provider-catalog[http] is installed"
        raise InvalidInputError("files", without_query(address), allowed) from error
