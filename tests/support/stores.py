"""Places where source files lie: an S3 server of its own process, and web servers."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest

BUCKET = "landing"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


class S3:
    """An S3 server, and a hand on what lies there.

    :param url: where it listens.
    """

    def __init__(self, url: str) -> None:
        import boto3

        self.url = url
        self._client: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **self.credentials)
        self._client.create_bucket(Bucket=BUCKET)

    @property
    def credentials(self) -> dict[str, str]:
        return {"aws_access_key_id": "local-key", "aws_secret_access_key": "local-s3-secret"}

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection that reaches it."""
        extra = {"endpoint_url": self.url, "region_name": "us-east-1"}
        keys = self.credentials
        login, password = keys["aws_access_key_id"], keys["aws_secret_access_key"]
        return {"conn_type": "aws", "login": login, "password": password, "extra": extra}

    def put(self, key: str, content: bytes) -> None:
        """Put an object there, or replace it."""
        self._client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def put_file(self, key: str, path: Path) -> None:
        """Put a file there."""
        self._client.upload_file(str(path), BUCKET, key)

    def delete(self, key: str) -> None:
        """Take an object away."""
        self._client.delete_object(Bucket=BUCKET, Key=key)

    def clear(self) -> None:
        """Take all objects away."""
        for each in self._client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.delete(each["Key"])


@contextlib.contextmanager
def s3_server() -> Iterator[S3]:
    """Run an S3 server in a process of its own."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            url = next(found[0] for line in server.stderr if (found := ADDRESS.search(line)))
            # It writes a line for each request, and stands still once nobody takes them.
            threading.Thread(target=deque, args=(server.stderr, 0), daemon=True).start()
            yield S3(url)
        finally:
            server.kill()


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3]:
    """One S3 server for all tests of this process."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_process: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """An empty S3 server that the Airflow connection ``landing_zone`` reaches."""
    s3_process.clear()
    monkeypatch.setenv("AIRFLOW_CONN_LANDING_ZONE", json.dumps(s3_process.connection))
    return s3_process


class Gate:
    """A proxy in front of an S3 server that refuses to list one folder, and passes everything else on.

    :param s3: the server.
    :param folder: the folder.
    :param status: with which status it refuses.
    :param code: with which of the errors that S3 has a name for.

    ``listed`` is what was to be listed, in the order in which it was asked for.
    """

    def __init__(self, s3: S3, folder: str, status: int, code: str) -> None:
        self._s3 = s3
        self._folder = folder
        self._status = status
        self._refusal = f"<Error><Code>{code}</Code><Message>Not now.</Message></Error>".encode()
        self.listed: list[str] = []
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                gate.answer(self)

            def do_GET(self) -> None:
                gate.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Airflow keeps the file system that it made for a connection's id.
        self.conn_id = f"gate_{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection that goes through it, and does not try again."""
        connection = self._s3.connection
        url = f"http://127.0.0.1:{self._server.server_port}"
        once = {"endpoint_url": url, "config_kwargs": {"retries": {"max_attempts": 0}}}
        return {**connection, "extra": {**connection["extra"], **once}}

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(request.path).query)
        if "list-type" in query:
            self.listed.append(query.get("prefix", [""])[0])
        if query.get("prefix") == [f"{self._folder}/"]:
            status, headers, body = self._status, {"Content-Type": "application/xml"}, self._refusal
        else:
            status, headers, body = self._passed_on(request)
        request.send_response(status)
        for name in ("Content-Type", "Last-Modified", "ETag"):
            if name in headers:
                request.send_header(name, headers[name])
        length = headers["Content-Length"] if request.command == "HEAD" else str(len(body))
        request.send_header("Content-Length", length)
        request.end_headers()
        request.wfile.write(body)

    def _passed_on(self, request: http.server.BaseHTTPRequestHandler) -> tuple[int, Any, bytes]:
        call = urllib.request.Request(self._s3.url + request.path, method=request.command)
        try:
            with urllib.request.urlopen(call) as answer:
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            return error.code, error.headers, error.read()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def gate(s3: S3, folder: str, status: int = 403, code: str = "AccessDenied") -> Iterator[Gate]:
    """Run a proxy in front of an S3 server for the length of a ``with`` block, with an Airflow connection that reaches it."""
    proxy = Gate(s3, folder, status, code)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(f"AIRFLOW_CONN_{proxy.conn_id.upper()}", json.dumps(proxy.connection))
            yield proxy
    finally:
        proxy.stop()


class Web:
    """A web server with some files.

    :param files: what it has, by path.
    :param ranges: whether it gives parts of a file.
    :param tells_size: whether it says beforehand how long one is.

    ``refusal`` is the status with which it answers for files that it does not have.
    """

    def __init__(self, files: dict[str, bytes], *, ranges: bool = True, tells_size: bool = True) -> None:
        self.files = files
        self.ranges = ranges
        self.tells_size = tells_size
        self.requests: list[tuple[str, str]] = []
        self.refusal = 404
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                web.answer(self, with_body=False)

            def do_GET(self) -> None:
                web.answer(self, with_body=True)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, request: http.server.BaseHTTPRequestHandler, *, with_body: bool) -> None:
        self.requests.append((request.command, request.headers.get("Range", "")))
        content = self.files.get(request.path.partition("?")[0])
        if content is None:
            request.send_error(self.refusal)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        is_part = bool(wanted and self.ranges)
        start, end = 0, len(content)
        if wanted and is_part:
            start, end = int(wanted[1]), min(int(wanted[2] or len(content)) + 1, len(content))
        request.send_response(206 if is_part else 200)
        if self.ranges:
            request.send_header("Accept-Ranges", "bytes")
        if is_part:
            request.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        if self.tells_size:
            request.send_header("Content-Length", str(end - start))
        request.send_header("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT")
        request.end_headers()
        if with_body:
            request.wfile.write(content[start:end])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def web_server(files: dict[str, bytes], **ways: bool) -> Iterator[Web]:
    """Run a web server for the length of a ``with`` block."""
    web = Web(files, **ways)
    try:
        yield web
    finally:
        web.stop()
