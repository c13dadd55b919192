"""Access tokens: OAuth Server-to-Server through Adobe's identity service (IMS), or a ready token.

Tokens are kept for the whole process, one for each credential, and shared by all threads: Adobe may throttle a client that asks
for a new one while it holds a good one.

See https://developer.adobe.com/developer-console/docs/guides/authentication/ServerToServerAuthentication/.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from airflow_provider_catalog.api.errors import ApiError, AuthenticationError
from airflow_provider_catalog.api.problems import ADVICE_BY_CODE
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS, Repeat
from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.api.transport import Call, TokenAuth, Transport

TOKEN_PATH = "/ims/token/v3"  # noqa: S105
RENEWAL_LEAD = 300.0
RENEWAL_SHARE = 0.1
LIFETIME_IF_UNSAID = 3600.0
LONGEST_PLAUSIBLE_LIFETIME = 10 * 86400.0

IMS_ADVICE = "Check ims_host, the client id (login) and the client secret (password) of the connection."
NOT_RENEWABLE_ADVICE = (
    "The access_token of the connection has expired or is wrong, and can't be renewed: "
    "set a fresh one, or a client secret."
)


@dataclass
class _Slot:
    """The token of one credential, and the lock that lets one thread at a time ask for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str | None = field(default=None, repr=False)
    renew_at: float = 0.0


_slots: dict[str, _Slot] = {}
_slots_lock = threading.Lock()


def forget_tokens() -> None:
    """Drop every token of this process."""
    with _slots_lock:
        _slots.clear()


def _renew_locks() -> None:
    """Give a forked child locks of its own: one that another thread held at that moment would stay locked for ever."""
    global _slots_lock
    _slots_lock = threading.Lock()
    for slot in _slots.values():
        slot.lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_locks)


class ImsAuth:
    """Tokens for a client id and secret.

    :param settings: whose credential it is.
    :param user_agent: names the client to IMS.
    :param on_token: told every new token before it is used, so that it can be masked in logs.
    :param attempts: how often a token request is sent at most.
    :param sleep: waits between two tries.
    :param clock: seconds that only go forward.
    """

    def __init__(
        self,
        settings: PlatformSettings,
        *,
        user_agent: str,
        on_token: Callable[[str], None] | None = None,
        attempts: int = DEFAULT_ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._transport = Transport(
            headers={"User-Agent": user_agent},
            timeout=settings.timeout,
            secrets=(settings.client_secret,),
            attempts=attempts,
            sleep=sleep,
        )
        self._on_token = on_token
        self._clock = clock

    def token(self) -> str:
        """Give the token, asking IMS for a new one some time before the old one ends.

        :raises AuthenticationError: IMS does not accept the credential.
        :raises UnreachableError: IMS gives no usable answer.
        """
        slot = self._slot()
        with slot.lock:
            if slot.token is None or self._clock() >= slot.renew_at:
                slot.token, lifetime = self._request()
                slot.renew_at = self._clock() + lifetime - min(RENEWAL_LEAD, lifetime * RENEWAL_SHARE)
            return slot.token

    def renew(self, refused: str, refusal: AuthenticationError) -> None:
        """Forget a token that the platform refused, unless another thread has replaced it already."""
        slot = self._slot()
        with slot.lock:
            if slot.token == refused:
                slot.token = None

    def close(self) -> None:
        """Close the connection to IMS."""
        self._transport.close()

    def _slot(self) -> _Slot:
        with _slots_lock:
            return _slots.setdefault(self._key(), _Slot())

    def _key(self) -> str:
        """Tell credentials apart; a changed secret is another credential."""
        settings = self._settings
        parts = (settings.ims_host, settings.client_id, settings.scopes, settings.client_secret)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _request(self) -> tuple[str, float]:
        settings = self._settings
        call = Call(
            method="POST",
            url=f"{settings.ims_host}{TOKEN_PATH}",
            repeat=Repeat.SAFE,
            form={
                "grant_type": "client_credentials",
                "client_id": settings.client_id,
                "client_secret": settings.client_secret or "",
                "scope": settings.scopes,
            },
            answer="token",
        )
        try:
            answer = self._transport.send(call)
        except ApiError as error:
            if not error.permanent:
                raise
            # Nobody may take a 404 of the identity service for a batch that is not there.
            advice = ADVICE_BY_CODE.get(error.failure.code or "", IMS_ADVICE)
            raise AuthenticationError(replace(error.failure, advice=advice)) from error
        token: str = answer["access_token"]
        if self._on_token is not None:
            self._on_token(token)
        return token, lifetime_in_seconds(answer.get("expires_in"))


class ReadyToken:
    """A token that somebody else has fetched; it can't be renewed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """Give the token."""
        return self._token

    def renew(self, refused: str, refusal: AuthenticationError) -> None:
        """Say that there is no other.

        :raises AuthenticationError: always.
        """
        raise AuthenticationError(replace(refusal.failure, advice=NOT_RENEWABLE_ADVICE)) from refusal

    def close(self) -> None:
        """Do nothing: there is no connection."""


def auth_for(
    settings: PlatformSettings,
    *,
    user_agent: str,
    on_token: Callable[[str], None] | None = None,
    attempts: int = DEFAULT_ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
) -> TokenAuth:
    """Choose where tokens come from: a ready one in the settings, or IMS."""
    if settings.access_token:
        return ReadyToken(settings.access_token)
    return ImsAuth(settings, user_agent=user_agent, on_token=on_token, attempts=attempts, sleep=sleep)


def lifetime_in_seconds(expires_in: object) -> float:
    """Read ``expires_in``: seconds, as documented, or the milliseconds of Adobe's older token service.

    >>> lifetime_in_seconds(86399), lifetime_in_seconds("86399992")
    (86399.0, 86399.992)
    """
    try:
        lifetime = float(str(expires_in))
    except ValueError:
        return LIFETIME_IF_UNSAID
    if not 0 < lifetime < math.inf:
        return LIFETIME_IF_UNSAID
    return lifetime / 1000 if lifetime > LONGEST_PLAUSIBLE_LIFETIME else lifetime
