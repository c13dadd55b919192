"""The HTTP faces of the emulator, one module for each of Adobe's services, and two of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from starlette.requests import Request

if TYPE_CHECKING:
    from ..platform import Platform


def platform_of(request: Request) -> Platform:
    """Return the platform that a request is addressed to."""
    return cast("Platform", request.app.state.platform)


def base_url(request: Request) -> str:
    """Return scheme, host and port for links: those under which the client has come, unless set otherwise."""
    return (platform_of(request).settings.link_base or str(request.base_url)).rstrip("/")
