"""Faults on request: which requests they hit, how often, and what they do to them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .bodies import WholeBody
from .wire import Wire, until_gone, wire_of

Stage = Literal["before", "after"]

_POSITIVE = {"type": "integer", "minimum": 1}
_GOING_ON: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "dependentRequired": {"headers": ["status"], "body": ["status"]},
    "properties": {
        "delay": {"type": "number", "minimum": 0},
        "status": {"type": "integer", "minimum": 200, "maximum": 599},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "body": {},
        "after": {"type": "boolean"},
        "drop": {"enum": ["before", "after"]},
        "truncate": {"type": "integer", "minimum": 0},
        "lose": {"type": "boolean"},
    },
}
_SCHEMA = {
    "type": "object",
    "required": ["effect"],
    "additionalProperties": False,
    "properties": {
        "match": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "method": {"type": "string"},
                "path": {"type": "string"},
                "query": {"type": "string"},
                "skip": {"type": "integer", "minimum": 0},
            },
        },
        "times": {"anyOf": [_POSITIVE, {"type": "null"}]},
        "every": _POSITIVE,
        "effect": {
            **_GOING_ON,
            "properties": {
                **_GOING_ON["properties"],
                "expire_token": {"type": "boolean"},
                "hold": {"enum": ["before", "after"]},
            },
            # How a request goes on after it was held is said by whoever releases it.
            "if": {"required": ["hold"]},
            "then": {"maxProperties": 1},
        },
    },
}
_VALIDATOR = Draft202012Validator(_SCHEMA)
_RELEASE = Draft202012Validator(
    {
        "type": "object",
        "required": ["effect"],
        "additionalProperties": False,
        "properties": {"effect": _GOING_ON},
    }
)


_LOSE = "emulator.lose"


def is_lost(scope: Scope) -> bool:
    """Say whether the bytes that a request brings are to be thrown away."""
    return bool(scope.get(_LOSE))


class InvalidFault(ValueError):
    """A description of a fault that makes no sense."""


@dataclass(frozen=True)
class Match:
    """Which requests a fault may hit. Method, path and query are patterns with ``*``; `skip` lets the first ones go."""

    method: str = "*"
    path: str = "*"
    query: str = "*"
    skip: int = 0

    def fits(self, method: str, path: str, query: str) -> bool:
        """Say whether a request is one of those meant."""
        pairs = ((method, self.method.upper()), (path, self.path), (query, self.query))
        return all(fnmatchcase(actual, pattern) for actual, pattern in pairs)


@dataclass(frozen=True)
class Effect:
    """What a fault does to a request.

    delay: real seconds before the request is worked on. status, headers, body: the answer, instead of the work.
    after: delay and status come when the work is done, not instead of it. drop: reset the connection before or after
    the work. truncate: promise the whole body, send so many bytes of it, hang up. expire_token: end the token that
    the request carries before it is looked at. lose: an upload (PUT, PATCH) is checked and answered as ever, but its
    bytes are thrown away, and nothing tells of them. hold: keep the request back, before the work is done or with the
    answer ready, until it is released.
    """

    delay: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = ""
    after: bool = False
    drop: Stage | None = None
    truncate: int | None = None
    expire_token: bool = False
    lose: bool = False
    hold: Stage | None = None

    @property
    def changes_answer(self) -> bool:
        """Whether the client gets something else than the application's answer as it comes."""
        changed = self.status is not None or self.truncate is not None
        return bool(changed or self.drop or self.after or self.hold)


@dataclass
class Fault:
    """A rule: it hits each `every`-th matching request, `times` times in all (None: for ever)."""

    id: str
    match: Match
    effect: Effect
    times: int | None = 1
    every: int = 1
    seen: int = 0
    hits: int = 0

    def strikes(self, method: str, path: str, query: str) -> bool:
        """Count a request if it matches, and say whether it is hit."""
        if not self.match.fits(method, path, query) or self.hits == self.times:
            return False
        self.seen += 1
        struck = self.seen > self.match.skip and (self.seen - self.match.skip) % self.every == 0
        self.hits += struck
        return struck


class Faults:
    """The rules in force, in the order in which they were given. The first that strikes is the one that counts."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._rules: dict[str, Fault] = {}

    def add(self, description: Any) -> Fault:
        """Take in a rule as JSON describes it. Raises InvalidFault."""
        _check(_VALIDATOR, description)
        rest = {name: value for name, value in description.items() if name in ("times", "every")}
        match, effect = Match(**description.get("match", {})), Effect(**description["effect"])
        fault = Fault(str(next(self._ids)), match, effect, **rest)
        self._rules[fault.id] = fault
        return fault

    def all(self) -> list[Fault]:
        """Return the rules with their counts."""
        return list(self._rules.values())

    def remove(self, fault_id: str) -> bool:
        """Forget a rule; say whether there was one."""
        return self._rules.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def effect_on(self, method: str, path: str, query: str) -> Effect | None:
        """Return what happens to a request, if anything."""
        return next((rule.effect for rule in self.all() if rule.strikes(method, path, query)), None)


def release_effect(description: Any) -> Effect:
    """Return how a held request goes on, as JSON describes it. Raises InvalidFault."""
    _check(_RELEASE, description)
    return Effect(**description["effect"])


# Holds a request back at a stage, until it is known how it goes on.
Hold = Callable[[Stage, Receive], AbstractAsyncContextManager[Effect]]


async def suffer(
    effect: Effect, hold: Hold, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let a request run into a fault."""
    if effect.hold == "before":
        await _hold_before(hold, app, scope, receive, send)
        return
    if effect.drop == "before":
        await _hang_up(wire_of(scope), receive)
        return
    if effect.lose:
        scope[_LOSE] = True
    if not effect.after:
        await asyncio.sleep(effect.delay)
    if not effect.changes_answer:
        await app(scope, receive, send)
        return
    answer = _Answer()
    if effect.status is None or effect.after or effect.drop:
        await app(scope, receive, answer.hear)
    if effect.hold:
        async with hold("after", receive) as released:
            await _finish(replace(released, after=True), answer, wire_of(scope), receive, send)
        return
    await _finish(effect, answer, wire_of(scope), receive, send)


async def _hold_before(hold: Hold, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Hold a request back with its whole body, so that the work can be done even if the client goes away."""
    with contextlib.closing(WholeBody(receive)) as body:
        await body.take_in()
        async with hold("before", receive) as released:
            await suffer(released, hold, app, scope, body.receive, send)


def _check(validator: Draft202012Validator, description: Any) -> None:
    error = best_match(validator.iter_errors(description))
    if error:
        raise InvalidFault(f"{error.json_path}: {error.message}")


async def _hang_up(wire: Wire, receive: Receive) -> None:
    wire.reset()
    await until_gone(receive)


async def _finish(effect: Effect, answer: _Answer, wire: Wire, receive: Receive, send: Send) -> None:
    """Send the work's answer, or what the effect puts in its place."""
    if effect.status is not None:
        answer = _Answer.of(effect.status, effect.headers, effect.body)
    if effect.after:
        await asyncio.sleep(effect.delay)
    await _deliver(effect, answer, wire, receive, send)


async def _deliver(effect: Effect, answer: _Answer, wire: Wire, receive: Receive, send: Send) -> None:
    if effect.drop:
        await _hang_up(wire, receive)
    elif effect.truncate is not None:
        await send(answer.start())
        await send({"type": "http.response.body", "body": answer.body[: effect.truncate], "more_body": True})
        wire.close()
        await until_gone(receive)
    else:
        await send(answer.start())
        await send({"type": "http.response.body", "body": bytes(answer.body)})


class _Answer:
    """An answer that is held back, whole."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: Any) -> _Answer:
        answer = cls()
        text = body if isinstance(body, str) else json.dumps(body)
        content_type = "text/plain" if isinstance(body, str) else "application/json"
        by_name = {"content-type": content_type} if text else {}
        by_name |= {name.lower(): value for name, value in headers.items()}
        answer.status = status
        answer.headers = [(name.encode(), value.encode()) for name, value in by_name.items()]
        answer.body.extend(text.encode())
        return answer

    async def hear(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")

    def start(self) -> Message:
        headers = dict(self.headers)
        # The answer to a HEAD has a length, but no body.
        if self.body or b"content-length" not in headers:
            headers[b"content-length"] = str(len(self.body)).encode()
        return {"type": "http.response.start", "status": self.status, "headers": list(headers.items())}
