"""Where the platform is and who is calling: what is accepted, and what is refused by the name of its field."""

from __future__ import annotations

from typing import Any

import pytest
from client_stage import settings_for

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.settings import DEFAULT_HOST, DEFAULT_IMS_HOST, PlatformSettings

LOCAL = "http://127.0.0.1:8765"


def test_the_defaults_are_adobes() -> None:
    settings = PlatformSettings(client_id="c", client_secret="s", ims_org_id="A@AdobeOrg", sandbox_name="dev")
    assert settings.host == DEFAULT_HOST == "https://platform.adobe.io"
    assert settings.ims_host == DEFAULT_IMS_HOST == "https://ims-na1.adobelogin.com"
    assert not settings.is_local


@pytest.mark.parametrize(
    ("given", "host", "is_local"),
    [
        ("platform.adobe.io", "https://platform.adobe.io", False),
        ("https://platform.adobe.io/", "https://platform.adobe.io", False),
        ("https://platform-va7.adobe.io:443", "https://platform-va7.adobe.io:443", False),
        ("HTTPS://platform.adobe.io", "https://platform.adobe.io", False),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765", True),
        ("http://127.9.9.9", "http://127.9.9.9", True),
        ("http://localhost:8765/", "http://localhost:8765", True),
        ("http://[::1]:8765", "http://[::1]:8765", True),
        ("127.0.0.1:8765", "https://127.0.0.1:8765", True),
        ("https://aep_gateway.internal", "https://aep_gateway.internal", False),
        ("https://platform.adobe.io.", "https://platform.adobe.io.", False),
        ("https://[fe80::1%25eth0]", "https://[fe80::1%25eth0]", False),
    ],
)
def test_addresses_may_be_written_in_many_ways(given: str, host: str, is_local: bool) -> None:
    settings = settings_for(LOCAL, host=given, ims_host=given)
    assert (settings.host, settings.ims_host, settings.is_local) == (host, host, is_local)


BAD_ADDRESSES = [
    "", " ", "https://", "http://platform.adobe.io", "http://127.0.0.1.example.com", "http://localhost.example.com",
    "http://10.0.0.1", "http://0.0.0.0:1", "ftp://127.0.0.1", "https://host/path", "https://host?x=1", "https://host#x", "https://host:port",
    "https://host:99999", "https://a b", "https://host\n", "https://[::1", "//host", "https://user@host", "https://user:word@host",
    "https://user:word@host:port", "https://user:wo word@host", "https://*.adobe.io", "https://.example.com", "https://a..b", "https://-a.b",
]  # fmt: skip


@pytest.mark.parametrize("field", ["host", "ims_host"])
@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=repr)
def test_addresses_that_are_none_or_would_leak_a_token_are_refused(field: str, address: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        settings_for(LOCAL, **{field: address})
    assert caught.value.argument == field
    assert "word" not in str(caught.value)


BAD_FIELDS: list[tuple[str, dict[str, Any]]] = [
    *(("ims_org_id", {"ims_org_id": value}) for value in ("", None, "0@AdobeOr", "0123", "@AdobeOrg", "a b@AdobeOrg")),
    *(("sandbox_name", {"sandbox_name": value}) for value in ("", None, "Dev", "my sandbox", "dev\n", "-dev")),
    *(("login", {"client_id": value}) for value in ("", None, "a b", "a\nb")),
    *(("tenant", {"tenant": value}) for value in ("", "a/b", "a b")),
    *(("timeout", {"timeout": value}) for value in (0, -1, 3601, float("nan"), float("inf"))),
    ("password", {"client_secret": None}),
    ("password", {"client_secret": ""}),
    ("password", {"client_secret": "topsecret topsecret"}),
    ("password", {"client_secret": "topsecret\n"}),
    ("access_token", {"access_token": "topsecret\r\nX: y"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "change"), BAD_FIELDS, ids=[f"{name} {change}" for name, change in BAD_FIELDS]
)
def test_other_fields_are_refused_by_the_name_that_the_form_gives_them(
    argument: str, change: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        settings_for(LOCAL, **change)
    assert caught.value.argument == argument
    assert "topsecret" not in str(caught.value)


def test_a_ready_token_needs_no_secret() -> None:
    assert settings_for(LOCAL, client_secret=None, access_token="ready").access_token == "ready"
