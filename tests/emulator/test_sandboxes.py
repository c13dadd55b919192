"""The list of sandboxes."""

from __future__ import annotations

import pytest

from .client import Client


@pytest.mark.parametrize("path", ["sandbox-management/", "sandbox-management"])
@pytest.mark.parametrize("sandbox", ["dev", "no-such-sandbox", None])
def test_the_sandboxes_are_listed_whatever_the_header_says(
    api: Client, path: str, sandbox: str | None
) -> None:
    answer = api.get(path, headers={"x-sandbox-name": sandbox})
    assert answer.status_code == 200
    by_name = {each["name"]: each for each in answer.json()["sandboxes"]}
    assert {name: each["type"] for name, each in by_name.items()} == {
        "dev": "development",
        "prod": "production",
    }
    assert {name: each["isDefault"] for name, each in by_name.items()} == {"dev": False, "prod": True}
    assert all(each["state"] == "active" for each in by_name.values())
    assert answer.json()["_page"]["count"] == 2
