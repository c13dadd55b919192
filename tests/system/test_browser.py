"""What a user sees: our connection form, the link from a task to its dataset and batch, the reason for a failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import chromium
import pytest
from airflow_stack import AIRFLOW, AIRFLOW_2
from airflow_ui import OWN_SECRETS_ARE_SHOWN
from catalog_view import CatalogView
from tour import FAILS, SUCCEEDS, Tour, tour

import airflow_provider_catalog

DATASET = "5c8c3c555033b814b69f947f"

pytestmark = [
    pytest.mark.skipif(chromium.PROBLEM is not None, reason=str(chromium.PROBLEM)),
    pytest.mark.xdist_group("airflow-in-browser"),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """An Airflow without connections, a platform, and a browser."""
    with tour(tmp_path_factory.mktemp("airflow-in-browser")) as everything:
        yield everything


@pytest.fixture(scope="module")
def after_runs(here: Tour) -> Tour:
    """The same when the connection was made in the form, and the DAGs have run with it."""
    here.run_dags()
    return here


def test_the_form_shows_our_fields_and_hides_what_is_not_used(here: Tour) -> None:
    connection_type = provider_info()["connection-types"][0]
    placeholders = connection_type["ui-field-behaviour"]["placeholders"]
    here.ui.open_form()
    fields = here.ui.fields()
    for name, label in connection_type["ui-field-behaviour"]["relabeling"].items():
        assert fields[label].placeholder == placeholders.get(name, "")
        assert fields[label].masked == (name == "password")
    for name, field in connection_type["conn-fields"].items():
        assert fields[field["label"]].help == field["description"]
        assert fields[field["label"]].masked == (name == "access_token" and not OWN_SECRETS_ARE_SHOWN)
        # Airflow 3 shows no placeholders in the fields of a provider's own.
        assert fields[field["label"]].placeholder == (placeholders.get(name, "") if AIRFLOW_2 else "")
    assert not fields.keys() & {"Host", "Login", "Password", "Port", "Schema"}


@pytest.mark.skipif(AIRFLOW == (3, 0), reason="the pages of Airflow 3.0 have no Test button")
@pytest.mark.parametrize(
    ("secret", "answer"),
    [
        ("local-secret", "The token is good, and the Catalog of sandbox 'dev'"),
        ("not-the-secret", "Check the client id (login) and the client secret (password) of the connection."),
    ],
    ids=["good", "bad"],
)
def test_the_test_button_tells_a_good_secret_from_a_bad_one(here: Tour, secret: str, answer: str) -> None:
    connection_id = f"with_{secret.replace('-', '_')}"
    here.ui.open_form()
    here.ui.fill_in(connection_id, here.values | {"password": secret})
    said = here.ui.test(connection_id)
    assert answer in said
    assert secret not in said


def test_what_was_typed_is_what_dags_get_and_secrets_are_not_shown_again(here: Tour) -> None:
    here.ui.connect("typed", here.values | {"access_token": "a-secret-token"})
    stored = here.airflow.api("GET", "/connections/typed")
    assert (stored["conn_type"], stored["host"], stored["login"]) == (
        "adobe_catalog",
        here.platform.url,
        "local-client",
    )
    assert "0123456789ABCDEF01234567@AdobeOrg" in stored["extra"]
    assert "local-secret" not in str(stored)
    assert "local-secret" not in here.browser.page_source


def test_the_link_of_a_task_leads_to_its_dataset_and_batch(after_runs: Tour) -> None:
    tour, batch_id = after_runs, after_runs.airflow.xcom_of(SUCCEEDS, "open_batch")
    tour.ui.open_task(SUCCEEDS, "open_batch", "details")
    tour.ui.follow_link(f"{tour.platform.url}/ui/dev/datasets/{DATASET}")
    tour.browser.find(f"//a[.='{batch_id}']").click()
    tour.browser.find("//p[@class='outcome']//span[.='success']")
    assert tour.browser.find("//dt[.='airflow_dag_id']/../dd").text == SUCCEEDS
    assert tour.browser.find("//dt[.='Records written']/../dd").text == "10"


def test_the_log_explains_a_failed_batch(after_runs: Tour) -> None:
    batch_id = after_runs.airflow.xcom_of(FAILS, "open_batch")
    [error, *_] = CatalogView(after_runs.platform.connection).batch(batch_id)["errors"]
    after_runs.ui.open_task(FAILS, "wait", "logs")
    explained = after_runs.browser.text_with(error["code"])
    assert error["description"] in explained
    assert batch_id in explained


def provider_info() -> dict[str, Any]:
    return cast(dict[str, Any], airflow_provider_catalog.get_provider_info())
