"""Many batches are looked up with few requests, whatever the Catalog makes of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from client_stage import MakeClient
from strange_catalog import Reply, refused, shown, strange_catalog, unknown

from airflow_provider_catalog.api.errors import ApiError, NotFoundError, UnreachableError
from airflow_provider_catalog.api.look_ups import IDS_PER_REQUEST, SHORTEST_FULL_PAGE, BatchLookUps

LookUpsAt = Callable[[str], BatchLookUps]

IDS = [f"01HP{n:0>22}" for n in range(IDS_PER_REQUEST)]


@pytest.fixture
def look_ups(make_client: MakeClient) -> LookUpsAt:
    """Give what looks batches up in the Catalog at an address, sending each call once."""
    return lambda url: make_client(url, access_token="ready", attempts=1).look_ups


def test_all_are_found_with_one_request(look_ups: LookUpsAt) -> None:
    with strange_catalog(shown) as catalog:
        found = look_ups(catalog.url).find(IDS, ["status"])
    assert list(found.batches) == IDS
    assert (found.errors, found.trouble) == ({}, None)
    assert catalog.queries == [
        {"batch": ",".join(IDS), "limit": str(IDS_PER_REQUEST), "properties": "status"}
    ]


def test_one_is_asked_for_by_its_own_address(look_ups: LookUpsAt) -> None:
    with strange_catalog(refused) as catalog:
        assert list(look_ups(catalog.url).find(["B"]).batches) == ["B"]
    assert catalog.queries == [{}]


def test_long_ids_are_spread_over_more_requests(look_ups: LookUpsAt) -> None:
    ids = [f"{n:0>128}" for n in range(30)]
    with strange_catalog(shown) as catalog:
        assert list(look_ups(catalog.url).find(ids).batches) == ids
    assert max(len(",".join(asked)) for asked in catalog.asked) < 1800
    assert len(catalog.asked) == 3


def test_what_a_combined_answer_lacks_is_missing_only_if_its_own_look_up_says_so(
    look_ups: LookUpsAt,
) -> None:
    def without_two(ids: Sequence[str]) -> Reply:
        return shown([each for each in ids if each not in IDS[:2]])

    with strange_catalog(without_two, lambda ids: unknown(ids) if ids == IDS[:1] else shown(ids)) as catalog:
        found = look_ups(catalog.url).find(IDS)
    assert set(found.batches) == set(IDS[1:])
    assert isinstance(found.errors[IDS[0]], NotFoundError)
    assert [len(asked) for asked in catalog.asked] == [IDS_PER_REQUEST, 2, 1, 1]


@pytest.mark.parametrize("status", [400, 403, 404, 413, 414])
def test_where_combined_look_ups_are_refused_each_is_asked_for_alone(
    status: int, look_ups: LookUpsAt
) -> None:
    with strange_catalog(lambda ids: (status, {})) as catalog:
        looking = look_ups(catalog.url)
        assert set(looking.find(IDS[:8]).batches) == set(IDS[:8])
        catalog.asked.clear()
        assert set(looking.find(IDS[:8]).batches) == set(IDS[:8])
        assert [len(asked) for asked in catalog.asked] == [1] * 8, "it has learned that"


def test_where_too_many_are_refused_fewer_are_asked_for(look_ups: LookUpsAt) -> None:
    with strange_catalog(lambda ids: shown(ids) if len(ids) <= 20 else refused(ids)) as catalog:
        looking = look_ups(catalog.url)
        assert set(looking.find(IDS).batches) == set(IDS)
        catalog.asked.clear()
        assert set(looking.find(IDS).batches) == set(IDS)
        assert [len(asked) for asked in catalog.asked] == [15] * 4


def test_an_answer_that_is_cut_short_is_completed(look_ups: LookUpsAt) -> None:
    with strange_catalog(lambda ids: shown(ids[:SHORTEST_FULL_PAGE])) as catalog:
        looking = look_ups(catalog.url)
        assert set(looking.find(IDS).batches) == set(IDS)
        catalog.asked.clear()
        assert set(looking.find(IDS).batches) == set(IDS)
        assert [len(asked) for asked in catalog.asked] == [SHORTEST_FULL_PAGE] * 3


def test_a_filter_that_is_not_heeded_is_not_believed(look_ups: LookUpsAt) -> None:
    with strange_catalog(lambda ids: shown(["OTHER1", "OTHER2"])) as catalog:
        looking = look_ups(catalog.url)
        assert set(looking.find(IDS[:4]).batches) == set(IDS[:4])
        catalog.asked.clear()
        assert set(looking.find(IDS[:4]).batches) == set(IDS[:4])
        assert [len(asked) for asked in catalog.asked] == [1] * 4


def test_batches_that_come_into_sight_between_two_requests_teach_nothing(
    look_ups: LookUpsAt,
) -> None:
    with strange_catalog(lambda ids: shown([])) as catalog:
        looking = look_ups(catalog.url)
        assert set(looking.find(IDS[:4]).batches) == set(IDS[:4])
        assert looking.size == IDS_PER_REQUEST


def test_one_that_spoils_combined_look_ups_does_not_hide_the_others(look_ups: LookUpsAt) -> None:
    foreign = IDS[17]

    def forbidding(ids: Sequence[str]) -> Reply:
        return (403, {"title": "forbidden"}) if foreign in ids else shown(ids)

    with strange_catalog(forbidding, forbidding) as catalog:
        looking = look_ups(catalog.url)
        found = looking.find(IDS)
    assert set(found.batches) == set(IDS) - {foreign}
    assert isinstance(found.errors[foreign], ApiError)
    assert len(catalog.asked) <= 13, "it is looked for by halving"
    assert looking.size == IDS_PER_REQUEST


@pytest.mark.parametrize("record", [None, [], "text", 5], ids=repr)
def test_a_record_that_is_none_is_an_error_of_that_batch_alone(record: object, look_ups: LookUpsAt) -> None:
    with strange_catalog(lambda ids: (200, {**shown(ids)[1], IDS[3]: record})) as catalog:
        found = look_ups(catalog.url).find(IDS)
    assert set(found.batches) == set(IDS) - {IDS[3]}
    assert isinstance(found.errors[IDS[3]], UnreachableError)
    assert found.trouble is None
    assert len(catalog.asked) == 1


def test_what_is_known_before_trouble_is_kept(look_ups: LookUpsAt) -> None:
    ids = [*IDS, *(f"02HP{n:0>22}" for n in range(5))]
    with strange_catalog(lambda asked: shown(asked) if IDS[0] in asked else (503, {})) as catalog:
        found = look_ups(catalog.url).find(ids)
    assert set(found.batches) == set(IDS)
    assert found.trouble is not None
    assert len(catalog.asked) == 2
