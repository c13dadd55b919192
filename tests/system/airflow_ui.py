"""Airflow's pages as its users see them. Airflow 2 and 3 show the same, each in its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import quote

from airflow_stack import AIRFLOW, AIRFLOW_2, RealAirflow, wait_for
from chromium import Browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

CONNECTION_TYPE = "Adobe Experience Platform"
LINK = "Dataset in Experience Platform"

# They take a connection without a port for another one than that which is stored, and do not test it
# (https://github.com/apache/airflow/pull/73298).
PORTLESS_IS_NOT_TESTED = version("apache-airflow") in ("3.3.1", "3.3.2")
# Their forms hide what is typed into `password`, but not into a secret field of a provider.
OWN_SECRETS_ARE_SHOWN = (3, 0) <= AIRFLOW < (3, 3)

_FIELDS = """
return [...document.querySelectorAll(arguments[0])].filter((each) => each.checkVisibility()).map((each) => {
  const text = (selector) => each.querySelector(selector)?.innerText.trim() ?? "";
  const input = each.querySelector("input, textarea, select");
  return [text("label"), text(".help-block, [data-part=helper-text]"), input?.placeholder ?? "", input?.type === "password"];
}).filter(([label]) => label);
"""


@dataclass(frozen=True)
class Field:
    """What a form shows of one field; `masked` is one that hides what is typed."""

    help: str
    placeholder: str
    masked: bool


class AirflowUI(ABC):
    """A browser on Airflow's pages."""

    def __init__(self, airflow: RealAirflow, browser: Browser) -> None:
        self.airflow = airflow
        self.browser = browser

    @abstractmethod
    def open_form(self) -> None:
        """Go to the form for a new connection, and choose our type."""

    @abstractmethod
    def fields(self) -> dict[str, Field]:
        """Return the fields of the form by their labels."""

    @abstractmethod
    def fill_in(self, connection_id: str, values: Mapping[str, str]) -> None:
        """Fill in the form; the values go by the names of the fields."""

    @abstractmethod
    def test(self, connection_id: str) -> str:
        """Let Airflow test what is in the form, and return what it says."""

    @abstractmethod
    def save(self, connection_id: str) -> None:
        """Save the connection that is in the form."""

    @abstractmethod
    def open_task(self, dag_id: str, task_id: str, tab: str) -> None:
        """Go to the ``details`` or the ``logs`` of a task in the DAG's only run."""

    def connect(self, connection_id: str, values: Mapping[str, str]) -> None:
        """Make a connection in the form."""
        self.open_form()
        self.fill_in(connection_id, values)
        self.save(connection_id)

    def follow_link(self, target: str) -> None:
        """Click the link of the task whose details are shown, and go to the page that opens."""
        self.browser.find_link(LINK).click()

        def is_there() -> bool:
            self.browser.switch_to.window(self.browser.window_handles[-1])
            return self.browser.current_url.startswith(target)

        wait_for(is_there, 30, f"the link did not lead to {target}")

    def _fields(self, container: str) -> dict[str, Field]:
        return {label: Field(*seen) for label, *seen in self.browser.execute_script(_FIELDS, container)}

    def _type(self, name: str, value: str) -> None:
        self.browser.find(f"//input[@name='{name}']").send_keys(Keys.CONTROL, "a", Keys.NULL, value)

    def _run_id(self, dag_id: str) -> str:
        run = self.airflow.run_of(dag_id)
        assert run, f"{dag_id} has no run"
        return quote(run["dag_run_id"], safe="")


class Airflow2UI(AirflowUI):
    """The pages of Airflow 2.11."""

    def open_form(self) -> None:
        self.browser.get(f"{self.airflow.url}/connection/add")
        self.browser.find("//*[contains(@class, 'select2-selection--single')]").click()
        self.browser.find("//input[contains(@class, 'select2-search__field')]").send_keys(
            CONNECTION_TYPE, Keys.ENTER
        )
        self.browser.find("//label[normalize-space()='Client ID']")

    def fields(self) -> dict[str, Field]:
        return self._fields("form tr")

    def fill_in(self, connection_id: str, values: Mapping[str, str]) -> None:
        names = {"host", "login", "password"}
        for name, value in {"conn_id": connection_id, **values}.items():
            self._type(name if name in {*names, "conn_id"} else f"extra__adobe_catalog__{name}", value)

    def test(self, connection_id: str) -> str:
        self.browser.find("//button[@id='test-connection']").click()
        return self.browser.find("//*[contains(@class, 'alert') and contains(., 'token')]").text

    def save(self, connection_id: str) -> None:
        self.browser.find("//button[contains(., 'Save')]").click()
        self.browser.find("//*[contains(., 'Added Row')]")

    def open_task(self, dag_id: str, task_id: str, tab: str) -> None:
        query = f"dag_run_id={self._run_id(dag_id)}&task_id={task_id}&tab={tab}"
        self.browser.get(f"{self.airflow.url}/dags/{dag_id}/grid?{query}")


class Airflow3UI(AirflowUI):
    """The pages of Airflow 3. It tests a connection only after it was saved."""

    def open_form(self) -> None:
        # Whoever is not signed in yet is led to this page afterwards, on some versions whatever page was asked for.
        self.browser.get(self.airflow.url)
        self.browser.find("//nav | //*[normalize-space()='Dags']")
        self.browser.get(f"{self.airflow.url}/connections")
        self.browser.find("//button[contains(., 'Add Connection')]").click()
        self.browser.find("//*[@role='dialog']//input[@role='combobox']").send_keys(CONNECTION_TYPE)
        self.browser.find(f"//*[@role='option'][normalize-space()='{CONNECTION_TYPE}']").click()
        self.browser.find("//label[normalize-space()='Client ID']")

    def fields(self) -> dict[str, Field]:
        standard = self._fields("[role=dialog] [data-part=root][data-scope=field]")
        self._open_extra_fields()
        return standard | self._fields("[role=dialog] [data-part=root][data-scope=field]")

    def fill_in(self, connection_id: str, values: Mapping[str, str]) -> None:
        standard = {name: value for name, value in values.items() if name in ("host", "login", "password")}
        for name, value in {"connection_id": connection_id, **standard}.items():
            self._type(name, value)
        self._open_extra_fields()
        for name in values.keys() - standard.keys():
            self._type(f"element_{name}", values[name])

    def test(self, connection_id: str) -> str:
        self.save(connection_id)
        if PORTLESS_IS_NOT_TESTED:
            self._set_port(connection_id)
        row = f"//tr[td[normalize-space()='{connection_id}']]"
        self.browser.find(f"{row}//button[@aria-label='Test Connection']").click()
        return self.browser.find(
            "//*[@data-scope='toast'][@data-part='description'][contains(., 'token')]"
        ).text

    def save(self, connection_id: str) -> None:
        self.browser.find("//button[contains(., 'Save')]").click()
        self.browser.find(f"//td[normalize-space()='{connection_id}']")
        dialogs = (By.XPATH, "//*[@role='dialog']")
        wait_for(lambda: not self.browser.find_elements(*dialogs), 30, "the form has not closed")

    def open_task(self, dag_id: str, task_id: str, tab: str) -> None:
        page = f"/dags/{dag_id}/runs/{self._run_id(dag_id)}/tasks/{task_id}"
        self.browser.get(f"{self.airflow.url}{page}{'/details' if tab == 'details' else ''}")

    def _open_extra_fields(self) -> None:
        self.browser.find("//button[normalize-space()='Extra Fields']").click()
        self.browser.find("//input[@name='element_timeout']")

    def _set_port(self, connection_id: str) -> None:
        stored = self.airflow.api("GET", f"/connections/{connection_id}")
        host, _, port = stored["host"].rpartition(":")
        changed = {
            "connection_id": connection_id,
            "conn_type": stored["conn_type"],
            "host": host,
            "port": int(port),
        }
        self.airflow.api("PATCH", f"/connections/{connection_id}?update_mask=host&update_mask=port", changed)
        self.browser.refresh()


def airflow_ui(airflow: RealAirflow, browser: Browser) -> AirflowUI:
    """Return the pages of the Airflow that is installed."""
    return Airflow2UI(airflow, browser) if AIRFLOW_2 else Airflow3UI(airflow, browser)
