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


def test_they_come_in_pages(api: Client) -> None:
    first, second, third = (
        api.get(f"sandbox-management/?limit=1&offset={offset}").json() for offset in range(3)
    )
    names = [[each["name"] for each in page["sandboxes"]] for page in (first, second, third)]
    assert names == [["dev"], ["prod"], []]
    assert [page["_page"] for page in (first, third)] == [{"limit": 1, "count": 1}, {"limit": 1, "count": 0}]


@pytest.mark.parametrize("query", ["limit=1", "offset=0", "limit=0&offset=0", "limit=1&offset=x"])
def test_a_page_is_asked_for_with_both_numbers(api: Client, query: str) -> None:
    assert api.get(f"sandbox-management/?{query}").status_code == 400
