"""The hook: from an Airflow connection to a client of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import BaseHook

import airflow_provider_catalog

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset, Connection

    from airflow_provider_catalog.api.client import CatalogClient
    from airflow_provider_catalog.api.settings import PlatformSettings

DEFAULT_CONN_ID = "adobe_catalog_default"


class CatalogHook(BaseHook):
    """Reach the platform through an Airflow connection of the type ``adobe_catalog``.

    :param catalog_conn_id: the connection.
    :param sandbox_name: another sandbox than the connection's.
    :param attempts: how often one call is sent at most, where it may be repeated; the client's default unless given.
    :param report_lineage: whether Airflow's collector of lineage is told of what is uploaded through the client.
    """

    conn_name_attr = "catalog_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "adobe_catalog"
    hook_name = "Adobe Experience Platform"

    def __init__(
        self,
        catalog_conn_id: str = DEFAULT_CONN_ID,
        sandbox_name: str | None = None,
        *,
        attempts: int | None = None,
        report_lineage: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.catalog_conn_id = catalog_conn_id
        self.sandbox_name = sandbox_name
        self.attempts = attempts
        self.report_lineage = report_lineage

    @cached_property
    def client(self) -> CatalogClient:
        """The client. The connection is read when it is first asked for.

        :raises InvalidInputError: a field of the connection is missing or not usable.
        """
        from airflow.providers.common.compat.sdk import mask_secret

        from airflow_provider_catalog.api.client import CatalogClient
        from airflow_provider_catalog.lineage.client import ReportingClient

        connection = self.get_connection(self.catalog_conn_id)
        settings = settings_from(connection, connection.extra_dejson, self.sandbox_name)
        for secret in (settings.client_secret, settings.access_token):
            if secret:
                mask_secret(secret)
        options: dict[str, Any] = {
            "application": _application(),
            "on_token": mask_secret,
            "attempts": self.attempts,
        }
        if self.report_lineage:
            return ReportingClient(settings, self, **options)
        return CatalogClient(settings, **options)

    def get_conn(self) -> CatalogClient:
        """Give the client."""
        return self.client

    def dataset_asset(self, dataset_id: str) -> Asset:
        """Give the asset of a dataset in the connection's organisation and sandbox.

        For use inside of tasks, since it reads the connection; a DAG file uses
        :func:`airflow_provider_catalog.assets.dataset.dataset_asset`.

        :param dataset_id: the dataset's id.
        :return: on Airflow 2.11 a ``Dataset``.
        :raises InvalidInputError: the id or a field of the connection is not usable.
        """
        from airflow_provider_catalog.assets.dataset import dataset_asset

        settings = self.client.settings
        return dataset_asset(
            ims_org_id=settings.ims_org_id, sandbox_name=settings.sandbox_name, dataset_id=dataset_id
        )

    async def connect(self) -> CatalogClient:
        """Make a client inside a trigger, where Airflow's connections must be read asynchronously.

        The client can be used in threads: it holds resolved credentials and asks nothing of Airflow. Its tokens are not
        masked by themselves, since the triggerers of some Airflow versions break when a thread asks for that.
        """
        from airflow.providers.common.compat.connection import (
            get_async_connection,
            get_async_extra_dejson,
        )
        from airflow.providers.common.compat.sdk import mask_secret
        from asgiref.sync import sync_to_async

        from airflow_provider_catalog.api.client import CatalogClient

        connection = await get_async_connection(self.catalog_conn_id)
        extra = await get_async_extra_dejson(connection)
        settings = settings_from(connection, extra, self.sandbox_name)
        for secret in (settings.client_secret, settings.access_token):
            if secret:
                await sync_to_async(mask_secret)(secret)
        return CatalogClient(settings, application=_application(), attempts=self.attempts)

    def test_connection(self) -> tuple[bool, str]:
        """Prove the token, the organisation and the sandbox, and say which one is wrong."""
        from airflow.providers.common.compat.sdk import AirflowNotFoundException

        from airflow_provider_catalog.api.errors import CatalogError
        from airflow_provider_catalog.hooks.probe import probe

        try:
            # Somebody is looking at a button: a short answer now is worth more than patience.
            return True, probe(type(self)(self.catalog_conn_id, self.sandbox_name, attempts=2).client)
        except AirflowNotFoundException as error:
            variable = f"AIRFLOW_CONN_{self.catalog_conn_id.upper()}"
            advice = f"Create it in Airflow, or set the variable {variable} where this runs."
            return False, f"{error}. {advice} Outside of a task, Airflow 3 does not look into its database."
        except CatalogError as error:
            return False, str(error)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Give labels and hidden fields to the connection form of Airflow 2.11 and 3.1; later ones read the provider info."""
        behaviour: dict[str, Any] = _connection_type()["ui-field-behaviour"]
        # The same three parts, but here Airflow spells the first one with an underscore, and refuses the whole otherwise.
        return {name.replace("-", "_"): part for name, part in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Give the custom fields to the connection form of Airflow 2.11 and 3.1; later ones read the provider info."""
        try:
            from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
            from wtforms import PasswordField, StringField
        except ImportError:
            # Airflow 3.0 without its optional form library has no custom fields, but must not lose the labels as well.
            return {}

        def widget(field: Mapping[str, Any]) -> Any:
            kind, look = (
                (PasswordField, BS3PasswordFieldWidget())
                if field["schema"].get("format") == "password"
                else (StringField, BS3TextFieldWidget())
            )
            return kind(field["label"], description=field["description"], widget=look)

        return {name: widget(field) for name, field in _connection_type()["conn-fields"].items()}


def settings_from(
    connection: Connection, extra: Mapping[str, Any], sandbox_name: str | None = None
) -> PlatformSettings:
    """Read a connection.

    :param connection: of the type ``adobe_catalog``, from the form, a URI or JSON.
    :param extra: its extra, parsed.
    :param sandbox_name: another sandbox than the connection's.
    :raises InvalidInputError: a field is missing or not usable; it names the connection and the field.
    """
    from airflow_provider_catalog.api import settings
    from airflow_provider_catalog.api.errors import InvalidInputError

    try:
        return settings.PlatformSettings(
            host=_host(connection) or settings.DEFAULT_HOST,
            ims_host=_text(extra.get("ims_host")) or settings.DEFAULT_IMS_HOST,
            client_id=_text(connection.login) or "",
            client_secret=_text(connection.password),
            access_token=_text(extra.get("access_token")),
            ims_org_id=_text(extra.get("ims_org_id")) or "",
            sandbox_name=_text(sandbox_name) or _text(extra.get("sandbox_name")) or "",
            scopes=_text(extra.get("scopes")) or settings.DEFAULT_SCOPES,
            timeout=_timeout(extra.get("timeout")),
            tenant=_text(extra.get("tenant")),
        )
    except InvalidInputError as error:
        name = f"{error.argument} (connection {connection.conn_id!r})"
        raise InvalidInputError(name, error.given, error.allowed) from None


def _host(connection: Connection) -> str | None:
    """Put the parts together that a URI is taken apart into; a host of the form may hold them all."""
    host = _text(connection.host)
    if host is None:
        return None
    if connection.schema in ("http", "https") and "://" not in host:
        host = f"{connection.schema}://{host}"
    return f"{host.rstrip('/')}:{connection.port}" if connection.port else host


def _timeout(value: object) -> float:
    from airflow_provider_catalog.api.errors import InvalidInputError
    from airflow_provider_catalog.api.settings import DEFAULT_TIMEOUT

    text = _text(value)
    try:
        return DEFAULT_TIMEOUT if text is None else float(text)
    except ValueError:
        raise InvalidInputError("timeout", value, "a number of seconds") from None


def _text(value: object) -> str | None:
    """Take an empty form field for an absent one, and cut the blanks that come with copied values."""
    return str(value).strip() or None if value is not None else None


def _application() -> str:
    import airflow

    return f"apache-airflow/{airflow.__version__}"


def _connection_type() -> dict[str, Any]:
    types = cast(list[dict[str, Any]], airflow_provider_catalog.get_provider_info()["connection-types"])
    return types[0]
