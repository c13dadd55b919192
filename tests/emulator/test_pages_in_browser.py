"""The pages for people as a browser shows them: kept up to date, usable by keyboard, readable in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import chromium
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from airflow_provider_catalog.emulator.seeds import CRM_PROFILES
from airflow_provider_catalog.emulator.server import Emulator

from .client import Client

pytestmark = [
    pytest.mark.skipif(chromium.PROBLEM is not None, reason=str(chromium.PROBLEM)),
    pytest.mark.xdist_group("browser"),  # they share one
]

AXE = files("axe_core_python").joinpath("axe.min.js")
WIDTHS = {"wide": 1200, "phone": 360}
CUT_OFF = "[...document.querySelectorAll('.panel')].some((each) => each.scrollWidth > each.clientWidth)"
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
PAUSE, RESUME = "//button[.='Pause']", "//button[.='Resume']"


@pytest.fixture(scope="module")
def one_browser() -> Iterator[chromium.Browser]:
    with chromium.chromium() as browser:
        yield browser


@pytest.fixture
def browser(one_browser: chromium.Browser, api: Client) -> chromium.Browser:
    """A browser in which nothing is paused."""
    one_browser.emulate(*chromium.WINDOW)
    one_browser.get(api.url)
    one_browser.execute_script("sessionStorage.clear()")
    return one_browser


@pytest.fixture
def rejected(api: Client) -> str:
    batch_id = api.open(enableErrorDiagnostics=True, tags={"airflow_dag_id": ["orders"]})
    api.put(batch_id, b"broken\n" * 4321, "day=1/part-with-a-long-name-" + "0123456789" * 9)
    api.signal(batch_id)
    api.advance(10)
    return batch_id


def paths(batch_id: str) -> dict[str, str]:
    return {
        "overview": "/",
        "dataset": f"/ui/dev/datasets/{CRM_PROFILES}",
        "batch": f"/ui/dev/batches/{batch_id}",
        "nothing": "/ui/dev/batches/none",
        "empty": "/ui/prod/datasets/" + CRM_PROFILES,
    }


def focused(browser: chromium.Browser) -> str:
    return str(browser.switch_to.active_element.text)


def complaints(browser: chromium.Browser) -> list[Any]:
    """What axe has against the page, which tests contrasts, landmarks, names and roles."""
    browser.execute_script(AXE.read_text())
    result = browser.execute_async_script(
        "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(done)"
    )
    assert len(result["passes"]) > 20
    return [
        (each["id"], [node["html"] + node["failureSummary"] for node in each["nodes"]])
        for each in result["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_everybody_can_read_the_pages(
    browser: chromium.Browser, api: Client, rejected: str, width: int, scheme: str
) -> None:
    browser.emulate(width, 800, scheme)
    for path in paths(rejected).values():
        browser.get(api.url + path)
        assert complaints(browser) == []
        assert browser.execute_script(f"return {TOO_WIDE}") is False


@pytest.mark.parametrize("width", [1200, 900, 360])
def test_nothing_is_cut_off_however_long_it_is(browser: chromium.Browser, api: Client, width: int) -> None:
    browser.emulate(width, 800)
    endless = "x" * 5000
    batch_id = api.open(externalId=endless, tags={endless: [endless]})
    errors = [{"code": endless, "description": endless}]
    api.steer(f"batches/{batch_id}", {"status": endless, "errors": errors})
    for path in paths(batch_id).values():
        browser.get(api.url + path)
        assert browser.execute_script(f"return {CUT_OFF} || {TOO_WIDE}") is False, path


def test_dark_is_dark_and_light_is_light(browser: chromium.Browser) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        browser.emulate(*chromium.WINDOW, scheme)
        rgb = browser.find("//body").value_of_css_property("background-color")
        grounds.append(sum(int(part) for part in rgb.strip("rgba()").split(",")[:3]) // 3)
    assert grounds[0] > 200
    assert grounds[1] < 50


def test_a_new_batch_appears_by_itself(browser: chromium.Browser, api: Client) -> None:
    browser.find("//h2[.='No batch yet']")
    batch_id = api.open()
    browser.find(f"//a[.='{batch_id}']")


def test_the_status_is_renewed_and_read_out(browser: chromium.Browser, api: Client) -> None:
    batch_id = api.open()
    browser.get(f"{api.url}/ui/dev/batches/{batch_id}")
    browser.find("//span[.='loading']")
    api.signal(batch_id, "ABORT")
    browser.find("//p[@class='outcome']//span[.='aborted']")
    assert browser.find_element(By.ID, "news").text == "Batch is now aborted"
    assert browser.title.startswith("aborted")


def test_focus_and_selection_stay_when_rows_come(browser: chromium.Browser, api: Client) -> None:
    before = api.open()
    link = browser.find(f"//a[.='{before}']")
    browser.execute_script(
        "arguments[0].focus(); getSelection().selectAllChildren(document.querySelector('h1'))", link
    )
    for _ in range(2):
        api.advance(1)
        after = api.open()
        browser.find(f"//a[.='{after}']")
    assert focused(browser) == before
    assert browser.execute_script("return getSelection().toString()") == "Overview"
    rows = browser.find_elements(By.CSS_SELECTOR, "#batches tbody th")
    assert [rows[0].text, rows[-1].text] == [after, before]


def test_updates_can_be_paused_on_all_pages_and_resumed(browser: chromium.Browser, api: Client) -> None:
    browser.find(PAUSE).click()
    batch_id = api.open()
    browser.get(f"{api.url}/ui/dev/batches/{batch_id}")
    browser.find("//*[@id='state'][.='Paused']")
    browser.execute_script("globalThis.asked = 0; fetch = () => { asked++; return new Promise(() => {}) }")
    api.signal(batch_id, "ABORT")
    clock = browser.find("//*[@id='clock']").text
    browser.execute_async_script("setTimeout(arguments[0], 2500)")
    assert browser.execute_script("return asked") == 0
    assert browser.find("//*[@id='clock']").text == clock
    browser.refresh()
    browser.find("//span[.='aborted']")
    browser.find(RESUME).send_keys(Keys.ENTER)
    browser.find("//*[@id='state'][.='Live']")


def test_an_emulator_that_is_gone_is_reported(browser: chromium.Browser, emulator: Emulator) -> None:
    browser.execute_script("globalThis.real = fetch; fetch = () => Promise.reject(new TypeError('gone'))")
    browser.find("//*[@id='state'][.='No answer from the emulator']")
    browser.execute_script("fetch = real")
    browser.find("//*[@id='state'][.='Live']")


def test_the_keyboard_reaches_everything_in_order(browser: chromium.Browser, api: Client) -> None:
    batch_id = api.open()
    browser.get(api.url)
    reached = []
    for _ in range(7):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(focused(browser))
        outline = browser.switch_to.active_element.value_of_css_property("outline-style")
        assert outline == "solid", reached
    assert reached == [
        *("Skip to the content", "Catalog emulator", "Pause", "Refresh"),
        *(batch_id, "CRM profiles", "CRM profiles"),
    ]


def test_the_first_key_skips_to_the_content(browser: chromium.Browser, api: Client) -> None:
    batch_id = api.open()
    browser.get(api.url)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert focused(browser) == batch_id


def test_pages_work_without_scripts(browser: chromium.Browser, api: Client) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(api.url)
        batch_id = api.open()
        assert not browser.find_element(By.ID, "pause").is_displayed()
        browser.find("//a[.='Refresh']").click()
        browser.find(f"//a[.='{batch_id}']").click()
        browser.find("//span[.='loading']")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_nothing_from_a_client_runs(browser: chromium.Browser, api: Client) -> None:
    hostile = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
    batch_id = api.open(externalId=hostile, tags={hostile: [hostile]})
    api.steer(
        f"batches/{batch_id}", {"status": hostile, "errors": [{"code": hostile, "description": hostile}]}
    )
    for path in ("/", f"/ui/dev/batches/{batch_id}"):
        browser.get(api.url + path)
        clock = browser.find("//*[@id='clock']").text
        api.advance(2)
        browser.find(f"//*[@id='clock'][not(.='{clock}')]")
        assert "hacked" not in browser.title.split("·")[-1]
        assert browser.find_elements(By.TAG_NAME, "img") == []


def test_the_browser_has_no_complaints(browser: chromium.Browser, api: Client, rejected: str) -> None:
    browser.get_log("browser")
    for name, path in paths(rejected).items():
        browser.get(api.url + path)
        seen = [each["message"] for each in browser.get_log("browser")]
        assert [each for each in seen if name != "nothing" or "404" not in each] == []
