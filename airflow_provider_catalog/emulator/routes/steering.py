"""The emulator's own API, ``/__emulator__``: clock, faults, held requests, request log, settings, and states by force.

It asks for no token, so it answers only to this machine, and only if it is addressed as such: a page in a browser
that has pointed its own host name at a loopback address (DNS rebinding) gets nothing. Nor does one from elsewhere that
sends a form or a script's request here, which browsers do without asking; pages of this machine may.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, replace
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..batches import Batch, Forced, Json
from ..bodies import json_object, parsed_json, short_body
from ..clock import FASTEST
from ..faults import Effect, release_effect
from ..platform import Platform
from ..problems import problem
from ..settings import InvalidSetting, as_dict, changed
from . import platform_of

ROOT = "/__emulator__"

_LONGEST_WAIT = 60.0
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)

_OBJECT = Draft202012Validator({"type": "object"})
_CLOCK = Draft202012Validator(
    {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            "advance": {"type": "number", "minimum": 0},
            "freeze": {"type": "boolean"},
            "set_rate": {"type": "number", "minimum": 0, "maximum": FASTEST},
        },
    }
)
_STATE = Draft202012Validator(
    {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            "status": {"type": "string", "minLength": 1},
            "errors": {"type": "array", "items": {"type": "object"}},
            "metrics": {"type": "object"},
            "tags": {"type": "object"},
            "release": {"const": True},
        },
    }
)


def is_local(request: Request) -> bool:
    """Say whether a request comes from this machine and means it."""
    client = request.client.host if request.client else ""
    addressed = _host_name(f"//{request.headers.get('host', '')}")
    return _is_loopback(client) and _is_loopback(addressed) and not _is_cross_site(request)


async def get_clock(request: Request) -> Response:
    """``GET /clock``: the emulator's time."""
    clock = platform_of(request).clock
    return JSONResponse(
        {"now": clock.now(), "offset": clock.offset, "speed": clock.speed, "frozen": clock.frozen}
    )


async def set_clock(request: Request) -> Response:
    """``POST /clock``: {"advance": seconds}, {"freeze": true or false}, {"set_rate": times real time}."""
    platform = platform_of(request)
    body = await json_object(request, _CLOCK)
    try:
        platform.clock.advance(body.get("advance", 0))
    except ValueError as error:
        raise problem(400, str(error)) from None
    if "freeze" in body:
        platform.clock.freeze(body["freeze"])
    if "set_rate" in body:
        platform.clock.set_rate(body["set_rate"])
    platform.keep_clock()
    return await get_clock(request)


async def list_faults(request: Request) -> Response:
    """``GET /faults``: the rules in force and how often each has hit."""
    return JSONResponse([asdict(each) for each in platform_of(request).faults.all()])


async def add_fault(request: Request) -> Response:
    """``POST /faults``: a new rule."""
    try:
        fault = platform_of(request).faults.add(parsed_json(await short_body(request)))
    except ValueError as error:
        raise problem(400, str(error)) from None
    return JSONResponse(asdict(fault), 201)


async def clear_faults(request: Request) -> Response:
    """``DELETE /faults``: forget all rules."""
    platform_of(request).faults.clear()
    return Response(status_code=204)


async def remove_fault(request: Request) -> Response:
    """``DELETE /faults/{id}``: forget a rule."""
    fault_id = request.path_params["id"]
    if not platform_of(request).faults.remove(fault_id):
        raise problem(404, f"There is no fault {fault_id}.")
    return Response(status_code=204)


async def list_holds(request: Request) -> Response:
    """``GET /holds?wait=&count=``: the requests that are held back now, in order of arrival.

    Waits up to so many real seconds (default 0, at most 60) until there are `count` of them (default 1).
    """
    holds = platform_of(request).holds
    wait, count = request.query_params.get("wait", "0"), request.query_params.get("count", "1")
    if not _SECONDS.fullmatch(wait) or not _NUMBER.fullmatch(count):
        raise problem(400, "wait is a number of seconds, count a number of requests.")
    await holds.wait_for(int(count), min(float(wait), _LONGEST_WAIT))
    return JSONResponse([asdict(each) for each in holds.all()])


async def release_hold(request: Request) -> Response:
    """``POST /holds/{id}``: let a request go on, as if nothing had happened or with an effect: {"effect": {...}}.

    The work of one that is held before it is done even if the client is gone, unless the effect forbids it: {"drop":
    "before"}. For the effects see `..faults.Effect`; if the answer is ready, only what concerns the answer counts.
    Answered when the request has gone its way: all its work is done then, and the request log is complete.
    """
    hold_id, body = request.path_params["id"], await short_body(request)
    try:
        effect = release_effect(parsed_json(body)) if body else Effect()
    except ValueError as error:
        raise problem(400, str(error)) from None
    ended = platform_of(request).holds.release(hold_id, effect)
    if ended is None:
        raise problem(404, f"There is no held request {hold_id}.")
    await ended.wait()
    return Response(status_code=204)


async def release_all_holds(request: Request) -> Response:
    """``DELETE /holds``: let all requests go on as if nothing had happened; answered when they have gone their way."""
    for ended in platform_of(request).holds.release_all(Effect()):
        await ended.wait()
    return Response(status_code=204)


async def list_requests(request: Request) -> Response:
    """``GET /requests?since=&method=&path=``: the log; `since` excludes, `path` is how the path begins."""
    wanted = request.query_params
    if not _NUMBER.fullmatch(wanted.get("since", "0")):
        raise problem(400, "since is the number of an entry.")
    since = int(wanted.get("since", 0))
    method, path = wanted.get("method", "").upper(), wanted.get("path", "")
    entries = (each for each in platform_of(request).journal.entries() if each.n > since)
    fitting = (each for each in entries if method in ("", each.method) and each.path.startswith(path))
    return JSONResponse([asdict(each) for each in fitting])


async def clear_requests(request: Request) -> Response:
    """``DELETE /requests``: forget the log."""
    platform_of(request).journal.clear()
    return Response(status_code=204)


async def force_batch(request: Request) -> Response:
    """``POST /batches/{id}``: hold a batch in a state, or with {"release": true} let it go on. Visible at once."""
    platform = platform_of(request)
    batch = platform.batches.find(request.path_params["id"])
    if batch is None:
        raise problem(404, f"There is no batch {request.path_params['id']}.")
    body = await json_object(request, _STATE)
    batch.forced = None if body.get("release") else _forced(platform, batch, body)
    platform.batches.save(batch)
    return JSONResponse({"id": batch.id, "status": platform.batches.status(batch, platform.clock.now())})


async def get_settings(request: Request) -> Response:
    """``GET /settings``: all settings, except for the secret."""
    return JSONResponse(as_dict(platform_of(request).settings))


async def change_settings(request: Request) -> Response:
    """``POST /settings``: change some settings, from now on."""
    platform = platform_of(request)
    body = await json_object(request, _OBJECT)
    try:
        platform.settings = changed(platform.settings, body)
    except InvalidSetting as error:
        raise problem(400, str(error)) from None
    return await get_settings(request)


async def expire_tokens(request: Request) -> Response:
    """``POST /tokens/expire``: end all tokens."""
    return JSONResponse({"expired": platform_of(request).tokens.expire()})


async def reset(request: Request) -> Response:
    """``POST /reset``: forget everything, as if just started."""
    platform_of(request).reset()
    return Response(status_code=204)


def _is_cross_site(request: Request) -> bool:
    """Say whether a browser sends a request on behalf of a page from elsewhere."""
    origin = request.headers.get("origin")
    from_elsewhere = origin is not None and not _is_loopback(_host_name(origin))
    return from_elsewhere or request.headers.get("sec-fetch-site") == "cross-site"


def _host_name(address: str) -> str:
    """Return the name of the host in an address, without the port; "" for nonsense."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _forced(platform: Platform, batch: Batch, body: Json) -> Forced:
    """Return what to force: what was forced before, and what is new."""
    before = asdict(batch.forced) if batch.forced else {}
    now = platform.clock.now()
    forced = Forced(**{**before, **body, "at": now})
    return replace(forced, held_since=now) if forced.status and forced.held_since is None else forced


routes = [
    Route(f"{ROOT}/clock", get_clock, methods=["GET"]),
    Route(f"{ROOT}/clock", set_clock, methods=["POST"]),
    Route(f"{ROOT}/faults", list_faults, methods=["GET"]),
    Route(f"{ROOT}/faults", add_fault, methods=["POST"]),
    Route(f"{ROOT}/faults", clear_faults, methods=["DELETE"]),
    Route(f"{ROOT}/faults/{{id}}", remove_fault, methods=["DELETE"]),
    Route(f"{ROOT}/holds", list_holds, methods=["GET"]),
    Route(f"{ROOT}/holds", release_all_holds, methods=["DELETE"]),
    Route(f"{ROOT}/holds/{{id}}", release_hold, methods=["POST"]),
    Route(f"{ROOT}/requests", list_requests, methods=["GET"]),
    Route(f"{ROOT}/requests", clear_requests, methods=["DELETE"]),
    Route(f"{ROOT}/batches/{{id}}", force_batch, methods=["POST"]),
    Route(f"{ROOT}/settings", get_settings, methods=["GET"]),
    Route(f"{ROOT}/settings", change_settings, methods=["POST"]),
    Route(f"{ROOT}/tokens/expire", expire_tokens, methods=["POST"]),
    Route(f"{ROOT}/reset", reset, methods=["POST"]),
]
