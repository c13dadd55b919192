"""Where the platform is and who is calling: everything that a client needs to know, checked."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_provider_catalog.api.errors import InvalidInputError

DEFAULT_HOST = "https://platform.adobe.io"
DEFAULT_IMS_HOST = "https://ims-na1.adobelogin.com"
DEFAULT_SCOPES = "openid,session,AdobeID,read_organizations,additional_info.projectedProductContext"
DEFAULT_TIMEOUT = 60.0

VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
ORGANISATION = re.compile(r"[0-9A-Za-z]+@[Aa]dobe[Oo]rg")
SANDBOX = re.compile(r"[a-z0-9][a-z0-9_-]*")
TENANT = re.compile(r"[0-9A-Za-z_-]+")
# Names with underscores exist within companies; what has colons is an address of IPv6.
HOST = re.compile(r"(?:(?!-)[0-9a-z_-]{1,63}(?<!-)(?:\.|$))+|[0-9a-f]*:[0-9a-f.:]+(?:%\w+)?")


@dataclass(frozen=True, kw_only=True)
class PlatformSettings:
    """How to reach one sandbox of one organisation.

    :param host: base address of the platform's API; https, or http to a loopback address.
    :param ims_host: base address of Adobe's identity service; the same rule.
    :param client_id: the credential's client id, sent as ``x-api-key``.
    :param client_secret: its secret, exchanged for a token; or else:
    :param access_token: a ready token, used until it expires.
    :param ims_org_id: the organisation, such as ``0123456789ABCDEF01234567@AdobeOrg``.
    :param sandbox_name: the sandbox's name (not its title). Required: Adobe takes a missing one for production.
    :param scopes: the token's scopes, separated by commas.
    :param timeout: how long to wait for an answer, and for each MiB of an upload to go out, in seconds.
    :param tenant: the Experience Cloud tenant, for links into Adobe's pages.
    :raises InvalidInputError: a field is missing or not usable; it says which.
    """

    client_id: str
    ims_org_id: str
    sandbox_name: str
    client_secret: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    host: str = DEFAULT_HOST
    ims_host: str = DEFAULT_IMS_HOST
    scopes: str = DEFAULT_SCOPES
    timeout: float = DEFAULT_TIMEOUT
    tenant: str | None = None

    def __post_init__(self) -> None:
        _require(VISIBLE_ASCII, "login", self.client_id, "the client id of an Adobe credential")
        check_organisation(self.ims_org_id)
        check_sandbox(self.sandbox_name)
        if self.tenant is not None:
            _require(TENANT, "tenant", self.tenant, "the name of an Experience Cloud tenant")
        if not self.client_secret and not self.access_token:
            raise InvalidInputError("password", "nothing", "a client secret, or an access_token in the extra")
        _require_secret("password", self.client_secret)
        _require_secret("access_token", self.access_token)
        if not 0 < self.timeout <= 3600:
            raise InvalidInputError("timeout", self.timeout, "seconds, more than 0 and at most 3600")
        object.__setattr__(self, "host", checked_base_url("host", self.host))
        object.__setattr__(self, "ims_host", checked_base_url("ims_host", self.ims_host))

    @property
    def is_local(self) -> bool:
        """Whether the platform is an emulator on this machine."""
        return is_loopback(urlsplit(self.host).hostname or "")


def check_organisation(ims_org_id: object) -> None:
    """Check the id of an organisation.

    :raises InvalidInputError: it is none.
    """
    _require(ORGANISATION, "ims_org_id", ims_org_id, "an organisation id such as 0123ABCD@AdobeOrg")


def check_sandbox(sandbox_name: object) -> None:
    """Check the name of a sandbox.

    :raises InvalidInputError: it is none.
    """
    _require(SANDBOX, "sandbox_name", sandbox_name, "the lower-case name of a sandbox (not its title)")


def checked_base_url(name: str, url: str) -> str:
    """Check the base address of a service, and cut a closing slash.

    :param name: the field's name, for the refusal.
    :param url: scheme, host and possibly port; without a scheme, https is meant.
    :raises InvalidInputError: it holds anything else, or would send a token unencrypted over a network.
    """
    allowed = "an address such as https://platform.adobe.io, without path, query or user"
    if "@" in url:
        raise InvalidInputError(name, "an address with a user in it", allowed)
    if not VISIBLE_ASCII.fullmatch(url):
        raise InvalidInputError(name, url, allowed)
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidInputError(name, url, allowed) from None
    if (
        not host
        or not HOST.fullmatch(host)
        or parts.scheme not in ("http", "https")
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise InvalidInputError(name, url, allowed)
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInputError(name, url, "https, since plain http is for loopback addresses only")
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require(pattern: re.Pattern[str], name: str, value: object, allowed: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidInputError(name, value, allowed)


def _require_secret(name: str, value: str | None) -> None:
    if value and not VISIBLE_ASCII.fullmatch(value):
        raise InvalidInputError(
            name, "a secret with blanks or control characters", "visible ASCII characters"
        )
