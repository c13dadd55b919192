"""A test of a connection that finds out which part of it is wrong."""

from __future__ import annotations

from airflow_provider_catalog.api.client import CatalogClient
from airflow_provider_catalog.api.errors import ApiError, InvalidInputError


def probe(client: CatalogClient) -> str:
    """Get a token, look whether the organisation has the sandbox, and read from its Catalog.

    :return: what was proven, as a sentence.
    :raises CatalogError: what is wrong.
    """
    settings = client.settings
    client.auth.token()
    sandboxes = _sandboxes(client)
    if sandboxes is not None and settings.sandbox_name not in sandboxes:
        allowed = f"one of the sandboxes that the credential may use: {', '.join(sorted(sandboxes)) or 'there are none'}"
        raise InvalidInputError("sandbox_name", settings.sandbox_name, allowed)
    client.probe_sandbox()
    return (
        f"The token is good, and the Catalog of sandbox {settings.sandbox_name!r} "
        f"in organisation {settings.ims_org_id} can be read."
    )


def _sandboxes(client: CatalogClient) -> tuple[str, ...] | None:
    """Give the sandboxes, or None where the credential may not list them; then the Catalog has the last word."""
    try:
        return client.list_sandboxes()
    except ApiError as error:
        if error.failure.status in (403, 404) and not _blames_the_caller(error):
            return None
        raise


def _blames_the_caller(error: ApiError) -> bool:
    """Whether the gateway has refused the client id or the organisation, which it does for every call alike."""
    return (error.failure.code or "") in ("403000", "403003", "403010", "403025", "403027")
