"""Adobe's error bodies: seven shapes, one result.

The gateway, the identity service and each service behind it have a shape of their own, and one is nested in another. All are
read by the same few names, so that a mixture nobody has seen yet is understood as well.

See https://experienceleague.adobe.com/en/docs/experience-platform/landing/troubleshooting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from airflow_provider_catalog.api.errors import (
    ApiError,
    AuthenticationError,
    Failure,
    NotFoundError,
)

TEXT_LIMIT = 300
PAGE_HEAD = 4096

CODE_NAMES = ("error_code", "errorCode", "code", "error")
TITLE_NAMES = ("title", "error_description", "message", "errorMessage")
DETAIL_NAMES = ("detail", "cause", "detailed-message")
REQUEST_ID_NAMES = ("request-id", "requestId", "registryRequestId")
REQUEST_ID_HEADERS = ("x-request-id", "x-adobe-request-id")

ADVICE_BY_CODE = {
    "400003": "Set ims_org_id in the connection.",
    "401013": "The token was refused: check that the credential is active and has the scopes of the connection.",
    "403000": "Set the client id (login) in the connection.",
    "403003": "Check the client id (login) of the connection: Adobe does not know this API key.",
    "403010": "No token arrived: a proxy on the way may take the Authorization header off.",
    "403025": "The credential is not entitled for ims_org_id: check both in the Adobe Developer Console.",
    "403027": "Check ims_org_id, and that the credential's technical account is in a product profile.",
    "429050": "Too many requests: run fewer tasks at once, for instance with an Airflow pool.",
    "invalid_client": "Check the client id (login) and the client secret (password) of the connection.",
    "invalid_scope": "Check the scopes of the connection against those of the credential.",
}

ADVICE_BY_STATUS = {
    400: "Correct what the platform names; repeating the call does not help.",
    401: "Check the credentials of the connection.",
    403: "Check that the credential's role may use this dataset and this sandbox.",
    404: "Check the id, and that it belongs to the sandbox of the connection.",
    406: "Check that the Schema Registry has this version of the dataset's schema.",
    409: "The state has changed meanwhile: look at the batch and decide anew.",
    412: "The object has changed meanwhile: look at it and decide anew.",
    413: "Split the data into smaller files.",
    414: "Shorten the file's remote name.",
    415: "The platform does not take this content: check the batch's input format.",
    429: "Too many requests: run fewer tasks at once, for instance with an Airflow pool.",
}
REDIRECT_ADVICE = (
    "Redirects are not followed, so that the token goes nowhere else: set the right host in the connection."
)


@dataclass(frozen=True)
class Problem:
    """What an error body says."""

    code: str | None = None
    title: str | None = None
    detail: str | None = None
    request_id: str | None = None
    retry_after: float | None = None


def api_error(call: str, response: requests.Response, redact: Callable[[str], str]) -> ApiError:
    """Make the exception for an answer that is an error.

    :param call: the method and path of the call.
    :param response: the answer, of any status but 2xx.
    :param redact: takes known secrets out of a text, for servers that echo what they were sent.
    """
    # Adobe speaks UTF-8; what others say of their encoding need not be one.
    text = response.content.decode(errors="replace")
    problem = parse_problem(text, response.headers.get("Content-Type", ""))
    status = response.status_code
    request_id = next((response.headers[n] for n in REQUEST_ID_HEADERS if n in response.headers), None)
    failure = Failure(
        call=call,
        status=status,
        code=_clean(problem.code, redact),
        title=_clean(problem.title or response.reason, redact),
        detail=_clean(problem.detail, redact),
        request_id=_clean(request_id or problem.request_id, redact),
        advice=advice_for(status, problem.code),
        retry_after=_first_number(
            parse_retry_after(response.headers.get("Retry-After")), problem.retry_after
        ),
    )
    return {401: AuthenticationError, 404: NotFoundError}.get(status, ApiError)(failure)


def advice_for(status: int, code: str | None) -> str | None:
    """Say what to do about an error, by Adobe's code or else by the status."""
    if 300 <= status < 400:
        return REDIRECT_ADVICE
    return ADVICE_BY_CODE.get(code or "") or ADVICE_BY_STATUS.get(status)


def parse_retry_after(value: str | None) -> float | None:
    """Read a ``Retry-After`` header, a number of seconds or a date, as seconds from now; nonsense is None."""
    if value is None:
        return None
    try:
        return max(0.0, Retry().parse_retry_after(value))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def parse_problem(text: str, content_type: str) -> Problem:
    """Read an error body of any shape.

    :param text: the body.
    :param content_type: the ``Content-Type`` header; only used where the body is no JSON.
    """
    body = _as_object(text)
    if body is None:
        return Problem(detail=_describe_foreign_body(text, content_type))
    # One service passes another's problem on as a JSON text in its own message.
    nested = _as_object(str(body.get("message")))
    if nested is not None:
        body = {**body, "message": None, **nested}
    places = [body, *_nested_places(body)]
    wait = _find(places, ("retryAfterMs",))
    title = _find(places, TITLE_NAMES)
    detail = _find(places, DETAIL_NAMES) or _find(places[1:], ("message",))
    return Problem(
        code=_find(places, CODE_NAMES) or _code_from_type(_find(places, ("type",))),
        title=title,
        detail=detail if detail != title else None,
        request_id=_find(places, REQUEST_ID_NAMES),
        retry_after=float(wait) / 1000 if wait and wait.isdecimal() else None,
    )


def _nested_places(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner = [body.get("report"), body.get("error")]
    inner += [place.get("additionalContext") for place in inner if isinstance(place, Mapping)]
    return [place for place in inner if isinstance(place, Mapping)]


def _find(places: list[Mapping[str, Any]], names: tuple[str, ...]) -> str | None:
    for place in places:
        for name in names:
            value = place.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return str(value)
    return None


def _code_from_type(kind: str | None) -> str | None:
    """Take ``XDM-1012-404`` from ``http://ns.adobe.com/aep/errors/XDM-1012-404``."""
    if kind is None or "/errors/" not in kind:
        return None
    return kind.rsplit("/", 1)[1] or None


def _as_object(text: str) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _describe_foreign_body(text: str, content_type: str) -> str | None:
    if not text.strip():
        return None
    title = re.search(r"<title[^>]*>([^<]*)", text[:PAGE_HEAD], re.IGNORECASE)
    kind = content_type.split(";")[0].strip() or "an unnamed type"
    heading = f" with the title {title[1].strip()!r}" if title and title[1].strip() else ""
    return f"the body is {kind}, not JSON{heading}"


def _clean(text: str | None, redact: Callable[[str], str]) -> str | None:
    """Make one short line of a text."""
    if text is None:
        return None
    line = " ".join(redact(text).split())
    return f"{line[:TEXT_LIMIT]}…" if len(line) > TEXT_LIMIT else line or None


def _first_number(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
