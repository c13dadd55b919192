"""Error answers, in the shapes that the platform uses.

The troubleshooting guide shows three: the gateway's ``error_code``, a problem object whose ``type`` ends in a
code, and a generic one with a placeholder as its type. Where Adobe documents no code, ours starts with ``EMU``,
so that nobody mistakes it for one of the platform's.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_TYPE = "http://ns.adobe.com/aep/errors/"
_GENERIC_TYPE = "/placeholder/type/uri"
_GENERIC_TITLES = {
    400: "BadRequestError",
    404: "NotFoundError",
    409: "ConflictError",
    500: "InternalServerError",
}


class Refusal(Exception):
    """A request is answered with an error: its status and its JSON body."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


def gateway(error_code: str, message: str) -> Refusal:
    """Return an error of the gateway; the status is the first three digits of its code."""
    return Refusal(int(error_code[:3]), {"error_code": error_code, "message": message})


def problem(status: int, detail: str, code: str | None = None, title: str | None = None) -> Refusal:
    """Return an error of a platform service: the problem object that ends in a code such as ``XDM-1012``."""
    body = {
        "type": f"{_TYPE}{code or f'EMU-{status}'}-{status}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "report": {"detailed-message": detail},
        "detail": detail,
    }
    return Refusal(status, body)


def generic(status: int, detail: str) -> Refusal:
    """Return an error in the generic shape, which the Catalog's examples use."""
    title = _GENERIC_TITLES.get(status, HTTPStatus(status).phrase)
    return Refusal(status, {"type": _GENERIC_TYPE, "status": status, "title": title, "detail": detail})


async def answer_refusal(request: Request, error: Exception) -> Response:
    """Turn a Refusal that a service raised into its answer."""
    assert isinstance(error, Refusal)  # noqa: S101 - registered for Refusal alone
    return refusal_response(error)


def refusal_response(refusal: Refusal) -> Response:
    """Return the answer to a refused request."""
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
