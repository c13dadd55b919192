"""Running the emulator beside a test, and what survives its end."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_catalog.emulator.server import running
from airflow_provider_catalog.emulator.settings import Settings

from .client import SENSELESS, Client


def test_the_connection_reaches_the_emulator() -> None:
    with running() as emulator:
        connection = emulator.connection
        assert connection["host"] == connection["extra"]["ims_host"] == emulator.url
        assert connection["extra"]["sandbox_name"] == "dev"
        assert json.loads(emulator.environment["AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT"]) == connection
        assert requests.get(connection["host"], timeout=10).status_code == 200


def test_two_emulators_know_nothing_of_each_other() -> None:
    with running() as one, running() as other:
        assert one.url != other.url
        batch_id = Client(one).open()
        one.platform.clock.advance(1)
        other.platform.clock.advance(1)
        assert list(Client(one).get("catalog/batches").json()) == [batch_id]
        assert Client(other).get("catalog/batches").json() == {}


def test_a_stopped_emulator_hangs_up_at_once() -> None:
    with running() as emulator:
        client = Client(emulator)
        client.get("catalog/batches")
        client.fault({"delay": 60})
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{emulator.url}/data/", timeout=0.1)
        started = time.monotonic()
        emulator.stop()
        assert time.monotonic() - started < 2
        with pytest.raises(requests.ConnectionError):
            client.get("catalog/batches")


def test_a_stopped_emulator_hangs_up_on_idle_connections() -> None:
    with running() as emulator:
        where = urlsplit(emulator.url)
        with socket.create_connection((where.hostname, where.port), timeout=5) as connection:
            connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(4096)
            emulator.stop()
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass  # what is left of the answer; a connection that stays open ends in a time-out


def test_answers_are_not_delayed_by_the_network_stack() -> None:
    with running() as emulator:
        client = Client(emulator)
        started = time.monotonic()
        for _ in range(50):
            client.get("catalog/batches")
        assert time.monotonic() - started < 50 * 0.04


def test_with_a_folder_everything_survives_a_restart(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        before = Client(emulator)
        done = before.ingest(b'{"_id": "1"}\n', externalId="run-1", tags={"owner": ["orders"]})
        [done_id] = before.get("catalog/batches?externalId=run-1").json()
        before.open(replay={"reason": "replace", "predecessors": [f"${done_id}"]})
        loading = before.open(externalId="run-2")
        before.put(loading, b"{}")
        forced = before.open()
        before.steer(f"batches/{forced}", {"status": "stalled", "errors": [{"code": "1"}]})
        schema = before.call(
            "POST", "schemaregistry/tenant/schemas", json={"title": "x", "type": "object"}
        ).json()
        reference = {"id": schema["$id"], "contentType": "application/vnd.adobe.xed+json;version=1"}
        created = before.call(
            "POST", "catalog/dataSets", json={"name": "mine", "schemaRef": reference}
        ).json()
        before.advance(100)
    with running(data_dir=tmp_path, port=urlsplit(emulator.url).port or 0) as again:
        after = Client(again)
        assert again.url == emulator.url
        assert after.batch(done_id) == done
        assert after.get(f"catalog/{created[0].removeprefix('@/')}").status_code == 200
        assert (after.status(forced), after.batch(forced)["errors"]) == ("stalled", [{"code": "1"}])
        after.signal(loading)
        after.advance(10)
        assert (after.status(loading), after.batch(loading)["recordCount"]) == ("success", 1)
        part = after.get(f"export/files/{done_id}-1?path=part-0")
        assert part.content == b'{"_id": "1"}\n'


def test_time_does_not_go_back_at_a_restart(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        emulator_time = Client(emulator).steer("clock", {"advance": 5000})["now"]
    with running(data_dir=tmp_path) as again:
        assert again.platform.clock.now() >= emulator_time


def test_not_even_if_it_had_run_faster(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        client = Client(emulator)
        client.steer("clock", {"set_rate": 3600})
        batch_id = client.open()
        time.sleep(0.1)
        before = client.steer("clock", method="GET")["now"]
    with running(data_dir=tmp_path) as again:
        after = Client(again)
        assert after.steer("clock", method="GET")["now"] >= before
        assert after.put(batch_id, b"{}").status_code == 200


def test_a_reset_that_comes_while_files_arrive_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    """Whatever is in the folder of a file whose batch is gone is dropped."""
    with running(data_dir=tmp_path) as emulator:
        client = Client(emulator)
        batch_id = client.open()
        client.put(batch_id, b"{}")
        client.file_action(batch_id, "INITIALIZE")
        client.patch(batch_id, b"{}", "bytes 0-1")
        store = emulator.platform.store
        store.remove("batch", [batch_id])  # as an emulator of old has left it behind
    for _ in range(2):
        with running(data_dir=tmp_path) as again:
            assert Client(again).put(batch_id, b"{}").status_code == 404
            assert not [kind for kind in ("file", "upload", "chunk") if list(again.platform.store.load(kind))]
            assert not list(again.platform.store.new_file().parent.iterdir())


def test_a_batch_that_was_being_read_is_read_again_after_a_restart(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        client = Client(emulator)
        batch_id = client.open()
        client.put(batch_id, b"{}")
        emulator.platform.promotions.stop()  # as if the process had ended in the middle
        client.signal(batch_id)
        client.advance(10)
        assert client.status(batch_id) == "staged"
    with running(data_dir=tmp_path) as again:
        after = Client(again)
        after.advance(1)
        assert (after.status(batch_id), after.batch(batch_id)["recordCount"]) == ("success", 1)


def test_a_batch_on_which_the_emulator_stumbles_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        client = Client(emulator)
        dataset_id = client.add_dataset(SENSELESS)
        batch_id = client.open(dataset_id)
        client.put(batch_id, b'{"name": "x"}', dataset_id=dataset_id)
        emulator.platform.promotions.stop()
        client.signal(batch_id)
        client.advance(10)
        assert client.status(batch_id) == "staged"
    with running(data_dir=tmp_path) as again:
        after = Client(again)
        after.advance(1)
        assert after.status(batch_id) == "failed"


def test_a_folder_is_used_by_one_emulator_at_a_time(tmp_path: Path) -> None:
    with (
        running(data_dir=tmp_path),
        pytest.raises(sqlite3.OperationalError, match="locked"),
        running(data_dir=tmp_path),
    ):
        pass


def test_without_a_folder_nothing_is_left() -> None:
    with running() as emulator:
        folder = emulator.platform.store.new_file().parent
        assert folder.exists()
    assert not folder.exists()


def test_settings_can_be_given() -> None:
    with running(Settings(token_lifetime=60, client_secret="other")) as emulator:
        assert emulator.connection["password"] == "other"
        answer = requests.post(
            f"{emulator.url}/ims/token/v3",
            data={
                "grant_type": "client_credentials",
                "client_id": "local-client",
                "client_secret": "other",
                "scope": "openid",
            },
            timeout=10,
        )
        assert answer.json()["expires_in"] == 60


def test_an_upload_that_was_cut_short_is_swept_away_at_the_next_start(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        client = Client(emulator)
        client.put(client.open(), b"{}")
        half = emulator.platform.store.new_file()
        kept = list(half.parent.iterdir())
        half.write_bytes(b"...")
    with running(data_dir=tmp_path):
        assert list(half.parent.iterdir()) == kept


def test_files_that_the_emulator_has_not_written_stay_in_its_folder(tmp_path: Path) -> None:
    with running(data_dir=tmp_path) as emulator:
        theirs = emulator.platform.store.new_file().with_name("holiday.jpg")
        theirs.write_bytes(b"...")
    with running(data_dir=tmp_path) as again:
        Client(again).steer("reset")
        assert theirs.read_bytes() == b"..."
