"""A server of files of any size that are nowhere: of the web, which give ranges or do not, and of S3 as far as reading goes.

Usage: streams.py. Prints its address in a line of its own, and serves until it is killed. ``/landing/SIZE/rows.json`` has so many
bytes of JSON lines, and gives ranges; ``/whole/SIZE/rows.json`` is the same file, and does not.
"""

from __future__ import annotations

import contextlib
import http.server
import re
from collections.abc import Iterator

LINE = b'{"person": {"name": {"firstName": "Ada", "lastName": "%s"}}}\n' % (b"x" * 940)
BLOCK = memoryview(LINE * 1000)
WRITTEN = "Sun, 09 Sep 2001 01:46:40 GMT"
FILE = re.compile(r"/(landing|whole)/(\d+)/rows\.json")
RANGE = re.compile(r"bytes=(\d+)-(\d*)")
EMPTY_LIST = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><KeyCount>0</KeyCount></ListBucketResult>'


def blocks(start: int, end: int) -> Iterator[memoryview]:
    """Give the bytes of a range."""
    while start < end:
        at = start % len(BLOCK)
        block = BLOCK[at : at + end - start]
        yield block
        start += len(block)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one client."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        if "list-type=2" in self.path:
            # No file has another one below it.
            self._begin(200, len(EMPTY_LIST))
            self.wfile.write(EMPTY_LIST)
        else:
            self._answer(with_body=True)

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        file = FILE.match(self.path)
        if file is None:
            self._begin(404, 0)
            return
        size = int(file[2])
        wanted = RANGE.fullmatch(self.headers.get("Range", "")) if file[1] == "landing" else None
        start, end = (int(wanted[1]), min(int(wanted[2] or size) + 1, size)) if wanted else (0, size)
        headers = {"Last-Modified": WRITTEN, "ETag": f'"{size}"'}
        if file[1] == "landing":
            headers["Accept-Ranges"] = "bytes"
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._begin(206 if wanted else 200, end - start, **headers)
        if with_body:
            with contextlib.suppress(ConnectionError):
                for block in blocks(start, end):
                    self.wfile.write(block)

    def _begin(self, status: int, size: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()


def main() -> None:
    """Serve."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
