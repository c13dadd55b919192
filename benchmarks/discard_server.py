"""A server that takes whatever it is sent, throws it away, and answers 200: nothing that is slower shows a client's limit.

Prints its address in a line of its own, and serves until it is killed.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading

BUFFER_BYTES = 1024 * 1024
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
EXPECTS = re.compile(rb"(?i)\r\nexpect: *100-continue")
HEAD_END = b"\r\n\r\n"

FINE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
UNKNOWN = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


def main() -> None:
    """Serve."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def serve(connection: socket.socket) -> None:
    """Answer the requests of one connection."""
    buffer = bytearray(BUFFER_BYTES)
    view = memoryview(buffer)
    with contextlib.suppress(OSError), connection:
        while head := read_head(connection, buffer, view):
            start, arrived = head
            length = LENGTH.search(buffer, 0, start)
            left = (int(length[1]) if length else 0) - (arrived - start)
            if EXPECTS.search(buffer, 0, start):
                connection.sendall(GO_ON)
            while left > 0:
                left -= connection.recv_into(view[: min(left, BUFFER_BYTES)]) or left
            # Of no file is it known here what has arrived of it.
            connection.sendall(UNKNOWN if buffer.startswith(b"HEAD") else FINE)


def read_head(connection: socket.socket, buffer: bytearray, view: memoryview) -> tuple[int, int] | None:
    """Read up to the end of a request's head; give where its body begins and how much has arrived, or None at the end."""
    arrived = 0
    while (end := buffer.find(HEAD_END, 0, arrived)) < 0:
        size = connection.recv_into(view[arrived:])
        if not size:
            return None
        arrived += size
    return end + len(HEAD_END), arrived


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
