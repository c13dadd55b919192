"""The pages for people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
import requests

from airflow_provider_catalog.emulator.clock import Clock
from airflow_provider_catalog.emulator.seeds import CRM_PROFILES, PAGE_VIEWS
from airflow_provider_catalog.emulator.server import Emulator

from .client import Client

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)"]
DATASET_PAGE = f"/ui/dev/datasets/{CRM_PROFILES}"


@dataclass
class Markup(HTMLParser):
    """The elements of a page and their attributes, and the text of each table's caption and cells."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        """The attributes of each element of these names."""
        return [attributes for tag, attributes in self.elements if tag in tags]


def page(api: Client, path: str) -> str:
    answer = requests.get(f"{api.url}{path}", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    return answer.text


def batch_page(batch_id: str) -> str:
    return f"/ui/dev/batches/{batch_id}"


def links(text: str) -> list[str]:
    return [href for each in Markup(text).named("a") if (href := each["href"]) and href.startswith("/")]


@pytest.fixture
def rejected(api: Client) -> str:
    """A batch that has everything a page can show: a file, errors, diagnostics, tags."""
    batch_id = api.open(enableErrorDiagnostics=True, externalId="run-1", tags={"airflow_dag_id": ["orders"]})
    api.put(batch_id, b"broken\n" * 4321, "day=1/part.json")
    api.signal(batch_id)
    api.advance(10)
    return batch_id


def test_the_front_page_shows_datasets_and_newest_batches(api: Client) -> None:
    batch_id = api.open()
    api.put(batch_id, b'{"_id": "1"}\n' * 1234)
    api.signal(batch_id)
    api.advance(120)
    shown = page(api, "/")
    assert "CRM profiles" in shown
    assert batch_id in shown
    assert "success" in shown
    assert "1,234" in shown
    assert "2 min ago" in shown


def test_the_front_page_counts_the_batches_of_each_dataset(api: Client) -> None:
    api.ingest(b'{"_id": "1"}\n')
    api.ingest(b"broken")
    api.open()
    row = page(api, "/").partition(f'id="dev-{CRM_PROFILES}"')[2].partition("</tr>")[0]
    for name, count in {"Batches": 3, "Under way": 1, "Succeeded": 1, "Failed": 1}.items():
        assert f'data-name="{name}" class="number">{count}<' in row


def test_a_newcomer_is_told_what_to_do(api: Client) -> None:
    assert "airflow dags test classic_ingest" in page(api, "/")
    assert f'dataset_id="{CRM_PROFILES}"' in page(api, DATASET_PAGE)
    batch_id = api.open()
    assert "UploadFilesOperator" in page(api, batch_page(batch_id))
    assert "airflow dags test" not in page(api, "/")


def test_a_batch_that_takes_no_files_any_more_has_none_rather_than_none_yet(api: Client) -> None:
    batch_id = api.open()
    assert "No file yet" in page(api, batch_page(batch_id))
    api.signal(batch_id, "ABORT")
    shown = page(api, batch_page(batch_id))
    assert "No files" in shown
    assert "No file yet" not in shown
    assert 'id="files"' not in shown


def test_links_lead_from_page_to_page(api: Client) -> None:
    api.open()
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        waiting += [link for link in links(page(api, path)) if link not in seen]
    assert {DATASET_PAGE, f"/ui/prod/datasets/{PAGE_VIEWS}"} <= seen
    assert any(path.startswith("/ui/dev/batches/") for path in seen)


def test_the_page_of_a_dataset_shows_its_batches_only(api: Client) -> None:
    mine, other = api.open(), api.open(PAGE_VIEWS)
    shown = page(api, DATASET_PAGE)
    assert mine in shown
    assert other not in shown


def test_many_batches_are_shown_on_several_pages(api: Client) -> None:
    opened = []
    for _ in range(51):
        opened.append(api.open())
        api.advance(1)
    first, second = page(api, DATASET_PAGE), page(api, f"{DATASET_PAGE}?page=2")
    assert [batch_id for batch_id in opened if batch_id not in first] == opened[:1]
    assert [batch_id for batch_id in opened if batch_id in second] == opened[:1]
    assert "?page=2" in first
    assert "?page=1" in second
    assert "The newest 20 of 51." in page(api, "/")


@pytest.mark.parametrize("number", ["0", "-1", "9", "x", "1.5", "", "9" * 5000])
def test_a_page_that_is_not_there_is_the_nearest_one(api: Client, number: str) -> None:
    batch_id = api.open()
    assert batch_id in page(api, f"{DATASET_PAGE}?page={number}")


def test_the_page_of_a_batch_shows_files_and_errors(api: Client, rejected: str) -> None:
    shown = page(api, batch_page(rejected))
    assert "day=1/part.json" in shown
    assert "INGEST-1401-400" in shown
    assert "4,321" in shown
    assert "meta/row_errors/parsing_errors_4.json" in shown
    assert "failed/_SUCCESS" in shown
    assert "broken" not in shown


def test_the_page_of_a_batch_says_whose_it_is_and_what_has_become_of_it(api: Client, rejected: str) -> None:
    shown = page(api, batch_page(rejected))
    assert "run-1" in shown
    assert ">airflow_dag_id</dt><dd><code>orders</code>" in shown
    assert f"<title>failed · Batch {rejected} · Catalog emulator</title>" in shown
    for status in ("loading", "loaded", "queued", "staging", "processing", "staged", "failed"):
        assert f">{status}</span>" in shown


def test_the_page_of_a_batch_shows_what_clients_have_asked_about_it(api: Client, rejected: str) -> None:
    other = api.open()
    api.get("catalog/batches", params={"externalId": "run-1"})
    for _ in range(37):
        api.get(f"catalog/batches/{rejected}")
    shown = page(api, batch_page(rejected)).partition('id="requests"')[2]
    wanted = [
        f"<b>GET</b> /data/foundation/catalog/batches/{rejected}<",
        'data-name="Times" class="number">37<',
        "<b>GET</b> /data/foundation/catalog/batches?externalId=run-1<",
        "?action=COMPLETE<",
        f"<b>PUT</b> /data/foundation/import/batches/{rejected}/datasets/{CRM_PROFILES}/files/day=1/part.json<",
        "<b>POST</b> /data/foundation/import/batches<",
    ]
    places = [shown.index(each) for each in wanted]
    assert places == sorted(places)
    assert shown.count("<tr ") - 1 == 5
    assert other not in shown


def test_a_request_has_failed_only_once_it_has_ended(api: Client, emulator: Emulator) -> None:
    batch_id = api.open()
    api.fault({"hold": "before"}, {"method": "PUT"})
    with ThreadPoolExecutor() as others:
        upload = others.submit(Client(emulator).put, batch_id, b"{}")
        api.held()
        assert answer_to_put(api, batch_id) == '<span class="status plain">under way</span>'
        api.release({"drop": "before"})
        assert isinstance(upload.exception(), requests.ConnectionError)
    assert answer_to_put(api, batch_id) == '<span class="status failed">dropped</span>'
    api.put(batch_id, b"{}", dataset_id=PAGE_VIEWS)
    assert answer_to_put(api, batch_id).startswith('<span class="status failed">4')
    api.put(batch_id, b"{}")
    assert answer_to_put(api, batch_id) == '<span class="status plain">200</span>'


def answer_to_put(api: Client, batch_id: str) -> str:
    """How the newest upload to a batch was answered, as its page shows it."""
    row = page(api, batch_page(batch_id)).partition("<b>PUT</b>")[2].partition("</tr>")[0]
    return row.partition('data-name="Answer">')[2].partition("</td>")[0].strip()


def test_long_lists_are_cut(api: Client) -> None:
    batch_id = api.open(externalId="many")
    for number in range(101):
        api.put(batch_id, b"{}", f"part-{number}")
    shown = page(api, batch_page(batch_id))
    assert "The first 100 of 101." in shown
    assert shown.count("part-100") == 1  # its request
    assert "; 2 older ones are not shown." in shown


def test_looking_on_is_no_request_of_a_client(api: Client) -> None:
    batch_id = api.open()
    api.fault({"status": 503}, {"path": "/"})
    for path in ("/", DATASET_PAGE, batch_page(batch_id), "/ui/static/style.css"):
        assert requests.get(f"{api.url}{path}", timeout=10).status_code == 200
    assert {each["path"] for each in api.requests()} == {"/ims/token/v3", "/data/foundation/import/batches"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_from_a_client_is_markup(api: Client, rejected: str, hostile: str) -> None:
    plain = Markup(page(api, batch_page(rejected)))
    batch_id = api.open(
        externalId=hostile,
        tags={hostile: [hostile]},
        replay={"predecessors": [f"${hostile.replace(' ', '/')}"]},
    )
    api.put(batch_id, b"{}", requests.utils.quote(hostile, safe=""))
    api.get("catalog/batches", params={"externalId": hostile, "batch": batch_id})
    forced = {
        "errors": [{"code": hostile, "description": hostile, "recordCount": hostile}],
        "tags": {hostile: hostile},
    }
    api.steer(
        f"batches/{batch_id}",
        forced | {"status": hostile, "metrics": {"inputRecordCount": hostile, hostile: 1}},
    )
    for path in ("/", batch_page(batch_id), DATASET_PAGE):
        markup = Markup(page(api, path))
        assert len(markup.named("script")) == 1
        assert {tag for tag, _ in markup.elements} <= {tag for tag, _ in plain.elements} | {
            "ol",
            "li",
            "section",
        }
        assert not [name for _, attributes in markup.elements for name in attributes if name.startswith("on")]


def test_no_secret_is_shown(api: Client, emulator: Emulator, rejected: str) -> None:
    for path in ("/", batch_page(rejected), DATASET_PAGE):
        assert not any(secret in page(api, path) for secret in ("local-secret", *emulator.issued_tokens))


def test_pages_run_nothing_but_their_own_script(api: Client, rejected: str) -> None:
    for path in ("/", batch_page(rejected), DATASET_PAGE):
        policy = requests.get(f"{api.url}{path}", timeout=10).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        markup = Markup(page(api, path))
        assert [each.get("src") for each in markup.named("script")] == ["/ui/static/live.js"]
        assert not markup.named("style")
        assert not [attributes for _, attributes in markup.elements if "style" in attributes]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("style.css", "text/css"), ("live.js", "text/javascript"), ("icon.svg", "image/svg+xml")],
)
def test_what_pages_are_made_of_comes_with_them(api: Client, name: str, kind: str) -> None:
    answer = requests.get(f"{api.url}/ui/static/{name}", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(kind)


def test_tables_can_be_read_by_ear(api: Client, rejected: str) -> None:
    for path in ("/", batch_page(rejected), DATASET_PAGE):
        markup = Markup(page(api, path))
        assert len(markup.named("caption")) == len(markup.named("table")) > 0
        assert {each.get("scope") for each in markup.named("th")} == {"col", "row"}
        assert next(each["href"] for each in markup.named("a")) == "#main"
        assert [each["id"] for each in markup.named("main")] == ["main"]


def test_what_was_opened_by_a_clock_that_is_lost_is_not_there_yet(api: Client, emulator: Emulator) -> None:
    api.advance(1000)
    batch_id = api.open()
    emulator.platform.clock = Clock()
    for path in ("/", DATASET_PAGE):
        assert batch_id not in page(api, path)
    assert requests.get(f"{api.url}{batch_page(batch_id)}", timeout=10).status_code == 404


@pytest.mark.parametrize("path", ["/ui/dev/datasets/none", "/ui/none/datasets/x", "/ui/dev/batches/none"])
def test_what_is_not_there_is_not_found_and_the_page_says_why(api: Client, path: str) -> None:
    answer = requests.get(f"{api.url}{path}", timeout=10)
    assert answer.status_code == 404
    assert "--data-dir" in answer.text
