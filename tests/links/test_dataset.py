"""The task links to its dataset, where Adobe or the emulator shows it."""

import json
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import XCom
from desk import CRM_PROFILES, Desk
from tasks import run_task

from airflow_provider_catalog.api.settings import PlatformSettings
from airflow_provider_catalog.links.dataset import DatasetLink, dataset_url
from airflow_provider_catalog.operators.batch import CreateBatchOperator, UploadFilesOperator


def settings(**fields: Any) -> PlatformSettings:
    known = {"client_id": "c", "client_secret": "s", "ims_org_id": "0123@AdobeOrg", "sandbox_name": "dev"}
    return PlatformSettings(**{**known, **fields})


PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "tenant": (
        {"tenant": "acme"},
        f"https://experience.adobe.com/#/@acme/sname:dev/platform/dataset/browse/{CRM_PROFILES}",
    ),
    "no tenant": ({}, "https://experience.adobe.com/platform/dataset/browse"),
    "emulator": (
        {"host": "http://127.0.0.1:8765"},
        f"http://127.0.0.1:8765/ui/dev/datasets/{CRM_PROFILES}",
    ),
    "emulator and tenant": (
        {"host": "http://localhost:8765", "tenant": "acme"},
        f"http://localhost:8765/ui/dev/datasets/{CRM_PROFILES}",
    ),
}


@pytest.mark.parametrize(("fields", "url"), PLACES.values(), ids=PLACES)
def test_the_address_depends_on_the_connection(fields: dict[str, Any], url: str) -> None:
    assert dataset_url(settings(**fields), CRM_PROFILES) == url


def test_the_page_of_the_emulator_exists(desk: Desk) -> None:
    visit = run_task(CreateBatchOperator(task_id="t", dataset_id=CRM_PROFILES))
    page = requests.get(visit.xcoms[DatasetLink().xcom_key], timeout=30)
    assert page.ok
    assert CRM_PROFILES in page.text


@pytest.mark.parametrize("sandbox", [None, "prod"])
def test_the_link_shows_the_sandbox_of_the_task(sandbox: str | None, desk: Desk) -> None:
    visit = run_task(CreateBatchOperator(task_id="t", dataset_id=CRM_PROFILES, sandbox_name=sandbox))
    assert visit.xcoms[DatasetLink().xcom_key] == f"{desk.url}/ui/{sandbox or 'dev'}/datasets/{CRM_PROFILES}"


def test_the_link_is_there_before_the_upload_begins(desk: Desk) -> None:
    batch_id = desk.open_batch("aborted")
    task = UploadFilesOperator(task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=__file__)
    pushed = {}

    class Observed(UploadFilesOperator):
        def work(self, context: Any) -> Any:
            try:
                return super().work(context)
            finally:
                pushed.update(context["ti"].xcoms)

    with pytest.raises(Exception, match=batch_id):
        run_task(Observed(task_id="t", batch_id=batch_id, dataset_id=CRM_PROFILES, files=task.files))
    assert pushed == {DatasetLink().xcom_key: f"{desk.url}/ui/dev/datasets/{CRM_PROFILES}"}


@pytest.mark.parametrize(
    ("pushed", "shown"), [("https://example.com/d", "https://example.com/d"), (None, ""), ("", "")], ids=str
)
def test_airflow_is_given_what_the_task_has_left_and_nothing_before(
    pushed: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def get_value(*, ti_key: Any, key: str) -> str | None:
        asked.append((ti_key, key))
        return pushed

    monkeypatch.setattr(XCom, "get_value", get_value)
    link = DatasetLink()
    operator: Any = None
    ti_key: Any = "the task instance"
    assert link.get_link(operator, ti_key=ti_key) == shown
    assert asked == [("the task instance", link.xcom_key)]


def test_a_link_that_can_not_be_read_is_no_error_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_value(**_: Any) -> str:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(XCom, "get_value", get_value)
    nothing: Any = None
    assert DatasetLink().get_link(nothing, ti_key=nothing) == ""


@pytest.mark.parametrize("operator", [CreateBatchOperator, UploadFilesOperator])
def test_tasks_that_know_their_dataset_have_the_link(operator: Any) -> None:
    assert [type(link) for link in operator.operator_extra_links] == [DatasetLink]


def test_a_link_is_text_that_a_form_or_a_script_can_not_be_smuggled_into() -> None:
    assert json.dumps(dataset_url(settings(tenant="acme"), 'a"/../b')).endswith('browse/a%22%2F..%2Fb"')
