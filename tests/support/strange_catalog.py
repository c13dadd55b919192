"""A Catalog that answers look-ups as a test says, over real HTTP: what Adobe's is documented to do is only one way."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from peers import Peer, answer, peer

Reply = tuple[int, Any]
Shown = Callable[[Sequence[str]], Reply]


class StrangeCatalog:
    """Keeps what was asked for.

    :param combined: what it says when several batches are asked for: a status, and a body.
    :param single: what it says when one is.
    """

    def __init__(self, combined: Shown, single: Shown) -> None:
        self.combined = combined
        self.single = single
        self.asked: list[list[str]] = []
        self.queries: list[dict[str, str]] = []
        self.url = ""

    def act(self, connection: socket.socket, server: Peer) -> None:
        """Answer one request."""
        target = urlsplit(server.received[-1].split()[1].decode())
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        ids = query["batch"].split(",") if "batch" in query else [unquote(target.path.rpartition("/")[2])]
        self.asked.append(ids)
        self.queries.append(query)
        status, body = (self.combined if "batch" in query else self.single)(ids)
        answer(status, json.dumps(body))(connection, server)


@contextlib.contextmanager
def strange_catalog(combined: Shown, single: Shown | None = None) -> Iterator[StrangeCatalog]:
    """Run one for the length of a ``with`` block; it shows single batches as running unless told otherwise."""
    catalog = StrangeCatalog(combined, single or shown)
    with peer(catalog.act) as server:
        catalog.url = server.url
        yield catalog


def shown(ids: Sequence[str], status: str = "staging") -> Reply:
    """Show all."""
    return 200, {batch_id: {"status": status} for batch_id in ids}


def unknown(ids: Sequence[str]) -> Reply:
    """Know none."""
    return 404, {"title": "not found"}


def refused(ids: Sequence[str]) -> Reply:
    """Refuse the question."""
    return 400, {"title": "bad request"}
