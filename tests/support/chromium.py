"""A Chromium without a window for tests: that of the system, with the driver that came with it. Nothing is downloaded."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PROBLEM = None if CHROMIUM and DRIVER else "needs Debian's packages chromium and chromium-driver"

WINDOW = (1280, 900)
PATIENCE_SECONDS = 60
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)

# Airflow 2 keeps some of its pages in shadow trees, into which no search of the browser's own looks.
_TREES = "const trees = [document, ...[...document.querySelectorAll('*')].flatMap((each) => each.shadowRoot ?? [])];"
_LINK = """
return trees.flatMap((tree) => [...tree.querySelectorAll("a")])
  .find((each) => each.checkVisibility() && each.innerText.trim() === arguments[0]);
"""
_TEXT = """
return trees.flatMap((tree) => [...(tree.body ?? tree).children]).map((each) => each.innerText).join("\\n");
"""


class Browser(Chrome):
    """A browser that waits for what it is asked for."""

    def find(self, xpath: str) -> WebElement:
        """Return the first element that can be seen, as soon as there is one."""
        otherwise = f"not on {self.current_url}: {xpath}"
        return self._wait().until(lambda _: self._visible(xpath), otherwise)

    def find_link(self, text: str) -> WebElement:
        """Return the first link of this text that can be seen, as soon as there is one."""
        otherwise = f"no link on {self.current_url}: {text}"
        return self._wait().until(lambda _: self.execute_script(_TREES + _LINK, text), otherwise)

    def text_with(self, part: str) -> str:
        """Return all that can be read, as soon as a part is among it."""

        def text(_: object) -> str | None:
            seen = str(self.execute_script(_TREES + _TEXT))
            return seen if part in seen else None

        return self._wait().until(text, f"not on {self.current_url}: {part}")

    def _wait(self) -> WebDriverWait[Chrome]:
        return WebDriverWait(self, PATIENCE_SECONDS)

    def _visible(self, xpath: str) -> WebElement | None:
        return next((each for each in self.find_elements(By.XPATH, xpath) if each.is_displayed()), None)

    def emulate(self, width: int, height: int, scheme: str = "light") -> None:
        """Have a window of this size, and prefer a colour scheme: ``light`` or ``dark``."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser that knows nothing of earlier ones, and end it."""
    with tempfile.TemporaryDirectory(prefix="chromium-tests-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = CHROMIUM or ""
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={WINDOW[0]},{WINDOW[1]}"):
            options.add_argument(flag)
        browser = Browser(options, ChromeService(DRIVER))
        try:
            yield browser
        finally:
            browser.quit()
