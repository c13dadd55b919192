"""How far an upload is, in bytes and in words."""

from __future__ import annotations

from io import BytesIO

import pytest

from airflow_provider_catalog.api.errors import StoppedError
from airflow_provider_catalog.ingest.crew import Stop
from airflow_provider_catalog.ingest.progress import Counted, Progress, in_words


class Clock:
    """A clock that stands still unless it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Body(BytesIO):
    """Ten bytes."""

    def __init__(self) -> None:
        super().__init__(b"0123456789")

    def __len__(self) -> int:
        return 10


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    """All that is logged is kept."""
    caplog.set_level("INFO", "airflow_provider_catalog")


def test_it_is_said_every_half_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(4, 1_000_000_000, clock)
    for clock.now in range(1001, 1091):  # type: ignore[assignment]
        progress.report()
    assert len(said(caplog)) == 3


def test_it_tells_files_bytes_rate_and_the_time_that_is_left(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    progress = Progress(4, 1_000_000_000, clock)
    progress.was_there(100_000_000)
    progress.file_done(was_there=True)
    progress.sent(300_000_000)
    progress.file_done()
    clock.now += 60
    progress.report()
    assert said(caplog) == ["2 of 4 file(s), 400.0 MB of 1.0 GB, 5.0 MB/s, about 0:02:00 left."]


def test_nothing_is_foretold_while_nothing_moves(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(4, 1_000_000_000, clock)
    clock.now += 60
    progress.report()
    assert said(caplog) == ["0 of 4 file(s), 0 bytes of 1.0 GB, 0 bytes/s."]


def test_the_end_is_told(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(2, 500_000_000, clock)
    progress.file_done(was_there=True)
    progress.sent(400_000_000)
    progress.file_done()
    clock.now += 8
    progress.conclude()
    assert said(caplog) == ["Uploaded 1 file(s), 400.0 MB in 8.0 s, 50.0 MB/s; 1 file(s) were there already."]


def test_bytes_that_go_out_again_count_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(1, 10, clock)
    body = Counted(Body, progress, Stop())
    for size in (4, 7, 10):
        sending = body()
        assert len(sending) == 10  # type: ignore[arg-type]
        sending.read(size)
    progress.file_done()
    progress.conclude()
    assert "Uploaded 1 file(s), 10 bytes" in said(caplog)[0]


def test_a_body_ends_when_it_is_time_to_stop(clock: Clock) -> None:
    stop = Stop()
    sending = Counted(Body, Progress(1, 10, clock), stop)()
    assert sending.read(4) == b"0123"
    stop.set(RuntimeError())
    with pytest.raises(StoppedError):
        sending.read(4)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (256_000_000, "256.0 MB"),
        (2.5e9, "2.5 GB"),
        (1e12, "1.0 TB"),
    ],
)
def test_sizes_in_words(size: float, text: str) -> None:
    assert in_words(size) == text
