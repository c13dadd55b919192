"""Airflow building blocks that load files into Adobe Experience Platform.

Airflow reads :func:`get_provider_info` at every start of every process, so this module imports nothing.
"""

from __future__ import annotations

__all__ = ["__version__", "get_provider_info"]

__version__ = "0.1.0"

_INTEGRATION = "Adobe Experience Platform"


def get_provider_info() -> dict[str, object]:
    """Describe this package to Airflow.

    See https://airflow.apache.org/docs/apache-airflow-providers/howto/create-custom-providers.html.
    """
    return {
        "package-name": "airflow-provider-catalog",
        "name": "Adobe Experience Platform Catalog",
        "description": "Load files into Adobe Experience Platform, batch by batch.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://experienceleague.adobe.com/en/docs/experience-platform/ingestion/batch/overview",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks.catalog")],
        "operators": [_modules("operators.batch", "operators.diagnostics", "operators.ingest")],
        "sensors": [_modules("sensors.batch", "sensors.waiting")],
        "triggers": [_modules("triggers.batch", "triggers.dataset")],
        "extra-links": [f"{__name__}.links.dataset.DatasetLink"],
        "connection-types": [_connection_type()],
        "asset-uris": [_asset_uris()],
        "dataset-uris": [_asset_uris()],  # what Airflow 2 calls them
    }


def _modules(*names: str) -> dict[str, object]:
    return {"integration-name": _INTEGRATION, "python-modules": [f"{__name__}.{name}" for name in names]}


def _asset_uris() -> dict[str, object]:
    return {
        "schemes": ["aep"],
        "handler": f"{__name__}.assets.dataset.sanitize_uri",
        "factory": f"{__name__}.assets.dataset.dataset_asset",
        "to_openlineage_converter": f"{__name__}.lineage.assets.to_openlineage",
    }


def _connection_type() -> dict[str, object]:
    return {
        "connection-type": "adobe_catalog",
        "hook-class-name": f"{__name__}.hooks.catalog.CatalogHook",
        "hook-name": _INTEGRATION,
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port"],
            "relabeling": {"host": "API host", "login": "Client ID", "password": "Client secret"},
            "placeholders": {
                "host": "https://platform.adobe.io",
                "login": "the API key of an OAuth Server-to-Server credential",
                "ims_org_id": "0123456789ABCDEF01234567@AdobeOrg",
                "sandbox_name": "the lower-case name, such as dev",
                "ims_host": "https://ims-na1.adobelogin.com",
            },
        },
        "conn-fields": {
            "ims_org_id": _text_field("Organisation ID", "Required. Ends in @AdobeOrg."),
            "sandbox_name": _text_field(
                "Sandbox", "Required. The sandbox's name in lower case, not its title."
            ),
            "ims_host": _text_field("Identity service", "Default: https://ims-na1.adobelogin.com."),
            "scopes": _text_field(
                "Scopes", "Separated by commas. Default: those that Adobe names for the platform."
            ),
            "access_token": _text_field(
                "Access token", "A ready token, instead of a client secret.", secret=True
            ),
            "tenant": _text_field("Tenant", "The Experience Cloud tenant, for links into Adobe's pages."),
            "timeout": _text_field("Time-out", "How many seconds to wait for an answer. Default: 60."),
        },
    }


def _text_field(label: str, description: str, *, secret: bool = False) -> dict[str, object]:
    schema: dict[str, object] = {"type": ["string", "null"]}
    if secret:
        schema["format"] = "password"
    return {"label": label, "description": description, "schema": schema}
