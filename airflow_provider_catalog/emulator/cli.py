"""The emulator's command line."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import ipaddress
import shlex
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from .settings import InvalidSetting, Settings, changed

if TYPE_CHECKING:
    from .server import Emulator

_REQUIRED = ("starlette", "uvicorn", "jinja2")


class UsageError(Exception):
    """The emulator cannot be started like this."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until it is interrupted; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _check_installed()
        _check_host(options.host, options.allow_remote)
        _serve(options, _settings(options))
    except UsageError as error:
        print(f"catalog-emulator: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the server was there to take it
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="catalog-emulator",
        description="An emulator of Adobe Experience Platform's batch ingestion, for tests and demos.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8765, help="0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--data-dir", type=Path, help="keep batches, datasets and files here (default: forget them)"
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen at an address that other machines can reach"
    )
    for name, text in (
        ("promotion_seconds", "from completion to the end of a batch"),
        ("token_lifetime", "how long a token is valid"),
        ("catalog_lag", "how long a write stays invisible in the Catalog"),
    ):
        default = getattr(defaults, name)
        parser.add_argument(
            f"--{name.replace('_', '-')}", metavar="SECONDS", help=f"{text} (default: {default:g} seconds)"
        )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any setting of the emulator, by its name",
    )
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def _settings(options: argparse.Namespace) -> Settings:
    named = {name: getattr(options, name) for name in ("promotion_seconds", "token_lifetime", "catalog_lag")}
    changes: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for each in options.set:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE, not {each!r}")
        changes[name] = value
    try:
        return changed(Settings(), changes)
    except InvalidSetting as error:
        raise UsageError(str(error)) from None


def _check_installed() -> None:
    missing = [name for name in _REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        hint = "pip install 'airflow-provider-catalog[emulator]'"
        raise UsageError(f"{' and '.join(missing)} missing: {hint}")


def _check_host(host: str, allow_remote: bool) -> None:
    """Refuse to be reachable from elsewhere by accident: the client secret is in the documentation."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not allow_remote:
        raise UsageError(
            f"{host} can be reached from other machines, and everybody knows the emulator's secret. "
            "Add --allow-remote if that is what you want."
        )


def _serve(options: argparse.Namespace, settings: Settings) -> None:
    from .server import Emulator, listen, opened  # needs what _check_installed asks for

    try:
        listener = listen(options.host, options.port)
    except OSError as error:
        reason = f"cannot listen at {options.host} port {options.port}: {error.strerror or error}"
        raise UsageError(reason) from None
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener)
        try:
            platform = stack.enter_context(opened(settings, options.data_dir))
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"cannot keep data in {options.data_dir}: {error}") from None
        emulator = Emulator(platform, listener)
        threading.Thread(target=_announce, args=(emulator,), daemon=True).start()
        signal.signal(signal.SIGINT, _quietly)
        signal.signal(signal.SIGTERM, _quietly)
        emulator.serve()


def _announce(emulator: Emulator) -> None:
    """Print where the emulator is, once it accepts connections."""
    emulator.ready.wait()
    print(f"Catalog emulator listening at {emulator.url} (interrupt with ctrl-C)", flush=True)
    for name, value in emulator.environment.items():
        print(f"export {name}={shlex.quote(value)}", flush=True)


def _quietly(number: int, frame: FrameType | None) -> None:
    """Take the signal that uvicorn raises again after it has stopped: there is nothing left to do."""
