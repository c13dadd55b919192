"""One HTTP conversation with one service: the session, its time-outs and its refusals.

Redirects are not followed, certificates are verified, and every answer but a 2xx becomes an exception.
"""

from __future__ import annotations

import logging
import platform
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, BinaryIO, Protocol, TypeVar, cast
from urllib.parse import quote_plus, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import Retrying
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
)

import airflow_provider_catalog
from airflow_provider_catalog.api.errors import AuthenticationError, SourceError, UnreachableError
from airflow_provider_catalog.api.problems import api_error
from airflow_provider_catalog.api.retries import DEFAULT_ATTEMPTS, Repeat, retrying
from airflow_provider_catalog.api.settings import is_loopback
from airflow_provider_catalog.api.validation import find_fault

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
SEND_BLOCK_BYTES = 1048576
KEPT_CONNECTIONS = 32
REDACTED = "***"

T = TypeVar("T")


class TokenAuth(Protocol):
    """Puts a token on a request, and can replace one that was refused."""

    def token(self) -> str:
        """Give a token that is believed to be good."""

    def renew(self, refused: str, refusal: AuthenticationError) -> None:
        """Forget a token that the platform refused.

        :param refused: the token.
        :param refusal: what the platform said.
        :raises AuthenticationError: there is no way to another one.
        """

    def close(self) -> None:
        """Close the kept connections."""


@dataclass(frozen=True)
class Call:
    """One call of the API.

    :param method: the HTTP method.
    :param url: the address, quoted, without query.
    :param repeat: what a second sending would do.
    :param params: the query.
    :param headers: beside those of the session.
    :param json: a JSON body.
    :param form: a form body.
    :param body: opens a body of bytes, anew for each sending; it is closed afterwards.
    :param answer: the definition in ``schemas/answers.json`` that the answer must meet, or None if the body does not matter.
    :param answer_header: the header that is the answer, where it is one.
    """

    method: str
    url: str
    repeat: Repeat
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    body: Callable[[], BinaryIO] | None = None
    answer: str | None = None
    answer_header: str | None = None

    def __str__(self) -> str:
        # No query, since that may hold what a user typed.
        return f"{self.method} {urlsplit(self.url).path}"


class Transport:
    """Sends calls and repeats them as the table in :mod:`.api.retries` allows. Can be shared between threads.

    :param headers: sent with every call.
    :param timeout: how long to wait for an answer, and for each block of an upload to go out, in seconds.
    :param auth: where tokens come from; None for calls that need none.
    :param secrets: texts that must not appear in an exception.
    :param attempts: how often a call is sent at most.
    :param sleep: waits between two tries.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str],
        timeout: float,
        auth: TokenAuth | None = None,
        secrets: tuple[str | None, ...] = (),
        attempts: int = DEFAULT_ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = _new_session(headers)
        self._timeout = timeout
        self._auth = auth
        self._secrets = tuple(secret for secret in secrets if secret)
        self._attempts = attempts
        self._sleep = sleep

    def send(self, call: Call) -> Any:
        """Send a call, and give its answer: parsed JSON, a header, or None where the call expects nothing.

        :raises ApiError: the platform answered with an error.
        :raises UnreachableError: no usable answer came.
        """
        patiently = self.patience(call.repeat)
        return self._authorized(lambda token: patiently(self._send_once, call, token))

    def open(self, call: Call) -> Body:
        """Send a call once, and give its answer before the body has arrived. To be closed.

        Unlike :meth:`send` it repeats nothing: whoever reads the body has to begin anew when it breaks, and that covers both.

        :raises ApiError: the platform answered with an error.
        :raises UnreachableError: no usable answer came.
        """
        return self._authorized(lambda token: Body(call, self._answer(call, token, stream=True)))

    def patience(self, repeat: Repeat) -> Retrying:
        """Give the loop around what may be repeated, with the patience of this conversation.

        :param repeat: what a second time would do.
        """
        return retrying(repeat, self._attempts, self._sleep)

    def pausing(self, sleep: Callable[[float], None]) -> Transport:
        """Give this conversation with another way to wait between two tries. The two share their connections.

        :param sleep: waits for so many seconds.
        """
        twin = copy(self)
        twin._sleep = sleep
        return twin

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()

    def _authorized(self, send: Callable[[str | None], T]) -> T:
        if self._auth is None:
            return send(None)
        token = self._auth.token()
        try:
            return send(token)
        except AuthenticationError as refusal:
            # The token may have been withdrawn before its time: one new token, one more chance.
            self._auth.renew(token, refusal)
        return send(self._auth.token())

    def _send_once(self, call: Call, token: str | None) -> Any:
        response = self._answer(call, token)
        if call.answer_header:
            return response.headers.get(call.answer_header)
        if call.answer:
            return _parse(call, response, partial(self._redact, token=token))
        _refuse_page(call, response)
        return None

    def _answer(self, call: Call, token: str | None, *, stream: bool = False) -> requests.Response:
        started = time.monotonic()
        response = self._exchange(call, token, stream)
        log.debug("%s: %s after %.3f s", call, response.status_code, time.monotonic() - started)
        if not _is_good(response):
            raise api_error(str(call), response, partial(self._redact, token=token))
        return response

    def _exchange(self, call: Call, token: str | None, stream: bool) -> requests.Response:
        body = None
        try:
            body = call.body() if call.body else None
            response = self._session.request(
                call.method,
                call.url,
                params=call.params,
                headers=call.headers,
                json=call.json,
                data=body if body is not None else call.form,
                auth=_Bearer(token),
                timeout=(self._patience_to_send(call), self._timeout),
                proxies=_proxy_exceptions(call.url),
                allow_redirects=False,
                stream=stream,
            )
            if stream and not _is_good(response):
                _ = response.content  # errors are read whole, here where it may break off
            return response
        # What requests finds wrong before it sends anything, such as a missing file of certificates, is no exception of its own.
        except (OSError, HTTPError, UnicodeError) as error:
            # It stays behind as the cause, and error reporters that write objects out would find the headers in it.
            if isinstance(error, requests.RequestException):
                error.request = None
            raise _unreachable(call, error) from error
        except SourceError as error:
            # To the platform it looked like a client that hangs up in the middle.
            raise UnreachableError(
                str(call), f"what it sends could not be read; {str(error).rstrip('.')}"
            ) from error
        finally:
            if body is not None:
                body.close()

    def _patience_to_send(self, call: Call) -> float:
        """Say for how long to wait for a connection, and for each block that goes out over it."""
        # urllib3 has one time-out for both, and a slow line needs longer for a block of a file than for a connection.
        return self._timeout if call.body else min(CONNECT_TIMEOUT, self._timeout)

    def _redact(self, text: str, token: str | None) -> str:
        for secret in (*self._secrets, token):
            if secret:
                # A secret may come back as it went out in a form.
                text = text.replace(secret, REDACTED).replace(quote_plus(secret), REDACTED)
        return text


class Body:
    """The bytes of an answer, read as they arrive.

    :param call: what is answered.
    :param response: the answer, of which only the head has been read.
    """

    def __init__(self, call: Call, response: requests.Response) -> None:
        self._call = call
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        :raises UnreachableError: the connection broke before the end.
        """
        try:
            # What has arrived is given even if the connection breaks next.
            data: bytes = self._response.raw.read1(size, decode_content=False)
        except (HTTPError, OSError) as error:
            raise _unreachable(self._call, error) from error
        return data

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()


class _Bearer(AuthBase):
    """Puts a token on a request. Without one it does nothing, but keeps requests from looking for a ``.netrc``."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Session(requests.Session):
    """A session for which a redirect is an answer like any other, wherever it points."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Say that there is none; otherwise requests prepares to follow it, and stumbles over addresses that are none."""
        return None


class _UploadAdapter(HTTPAdapter):
    """Sends bodies in larger blocks than the default of 16 KiB, at which an upload waits for Python and not for the network."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, blocksize=SEND_BLOCK_BYTES)


def user_agent(application: str | None = None) -> str:
    """Name this package, and what it runs in, to Adobe's logs."""
    own = f"airflow-provider-catalog/{airflow_provider_catalog.__version__}"
    parts = (own, application, f"python/{platform.python_version()}")
    return " ".join(part for part in parts if part)


def _new_session(headers: Mapping[str, str]) -> requests.Session:
    session = _Session()
    # What a call carries is in its own arguments, not in what an earlier answer has set.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in ("https://", "http://"):
        session.mount(scheme, _UploadAdapter(pool_maxsize=KEPT_CONNECTIONS))
    # The Catalog documents gzip as the only encoding that it supports.
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "gzip", **headers})
    return session


def _proxy_exceptions(url: str) -> dict[str, str]:
    """Keep calls to this machine on this machine: through a proxy of the environment, a token would leave it unencrypted."""
    host = urlsplit(url).hostname or ""
    return {"no_proxy": host} if is_loopback(host) else {}


def _is_good(response: requests.Response) -> bool:
    return 200 <= response.status_code < 300


def _refuse_page(call: Call, response: requests.Response) -> None:
    """Do not take the page of a proxy, to sign in perhaps, for the platform's consent."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and response.content.strip():
        reason = f"{response.status_code} with a web page that is not from the platform"
        raise UnreachableError(str(call), reason)


def _parse(call: Call, response: requests.Response, redact: Callable[[str], str]) -> Any:
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        kind = response.headers.get("Content-Type", "").partition(";")[0] or "without a content type"
        reason = (
            f"{response.status_code} with a body that is not JSON ({kind}, {len(response.content)} bytes)"
        )
        raise UnreachableError(str(call), redact(reason)) from None
    fault = find_fault(answer, cast(str, call.answer))
    if fault is not None:
        raise UnreachableError(str(call), redact(fault))
    return answer


def _unreachable(call: Call, error: Exception) -> UnreachableError:
    host = urlsplit(call.url).netloc
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        reason = f"the certificate of {host} is not trusted; check the host and this machine's certificates"
        return UnreachableError(str(call), reason, sent=False, lasting=True)
    if isinstance(error, requests.exceptions.ProxyError):
        reason = f"the proxy on the way to {host} failed ({_root_text(causes)})"
        return UnreachableError(str(call), reason, sent=not any(map(_is_without_tunnel, causes)))
    if isinstance(error, requests.ConnectTimeout):
        return UnreachableError(str(call), f"{host} did not take the connection in time", sent=False)
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        return UnreachableError(str(call), f"can't connect to {host} ({_root_text(causes)})", sent=False)
    if any(isinstance(cause, TimeoutError | ReadTimeoutError) for cause in causes):
        return UnreachableError(str(call), f"{host} did not answer in time")
    is_unsent = type(error) is OSError
    return UnreachableError(
        str(call), f"the connection to {host} broke ({_root_text(causes)})", sent=not is_unsent
    )


def _is_without_tunnel(cause: BaseException) -> bool:
    """Whether a proxy was not reached, or opened no tunnel. urllib3 blames it as well for answers that are lost later on."""
    if isinstance(cause, NewConnectionError | ConnectTimeoutError):
        return True
    return type(cause) is OSError and str(cause).startswith("Tunnel connection failed")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception down to what first went wrong, through the ways in which requests and urllib3 wrap it."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        cause = todo.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        # Not the context: where a call is made while an earlier error is handled, that is the earlier one.
        todo += [cause.__cause__, getattr(cause, "reason", None)]
        if isinstance(cause, requests.RequestException | HTTPError):
            todo += cause.args


def _root_text(causes: list[BaseException]) -> str:
    """Name the lowest cause; its own text may quote an address with its query, so only system errors speak for themselves."""
    for cause in reversed(causes):
        if isinstance(cause, OSError) and not isinstance(cause, HTTPError) and cause.strerror:
            return cause.strerror
        if type(cause) is OSError:  # what a proxy says
            return str(cause)
    return type(causes[-1]).__name__
