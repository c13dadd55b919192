"""A dataset's asset has one URI, that Airflow keeps as it is, and nothing else passes for one."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset
from desk import CRM_PROFILES, Desk
from tasks import IS_AIRFLOW_2

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.assets.dataset import FORM, DatasetAddress, dataset_asset, sanitize_uri
from airflow_provider_catalog.hooks.catalog import CatalogHook

ORGANISATION = "0123456789ABCDEF01234567@AdobeOrg"
URI = f"aep://0123456789ABCDEF01234567%40AdobeOrg/dev/{CRM_PROFILES}"

MALFORMED = {
    "another scheme": (f"s3://0123%40AdobeOrg/dev/{CRM_PROFILES}", "scheme", "'s3'"),
    "an @ in the organisation": (
        f"aep://0123@AdobeOrg/dev/{CRM_PROFILES}",
        "organisation",
        "'one with an @'",
    ),
    "what Airflow leaves of an @": (f"aep://AdobeOrg/dev/{CRM_PROFILES}", "ims_org_id", "'AdobeOrg'"),
    "no organisation": (f"aep:///dev/{CRM_PROFILES}", "ims_org_id", "''"),
    "a port": (f"aep://0123%40AdobeOrg:80/dev/{CRM_PROFILES}", "ims_org_id", "'0123@AdobeOrg:80'"),
    "a slash in the organisation": (f"aep://0123%2F%40AdobeOrg/dev/{CRM_PROFILES}", "ims_org_id", "'0123/@A"),
    "a sandbox by its title": (f"aep://0123%40AdobeOrg/Dev/{CRM_PROFILES}", "sandbox_name", "'Dev'"),
    "an empty sandbox": (f"aep://0123%40AdobeOrg//{CRM_PROFILES}", "sandbox_name", "''"),
    "a dataset by its name": ("aep://0123%40AdobeOrg/dev/CRM%20profiles", "dataset_id", "'CRM%20profiles'"),
    "no dataset": ("aep://0123%40AdobeOrg/dev", "path", "'/dev'"),
    "a batch below the dataset": ("aep://0123%40AdobeOrg/dev/5c8c/01HP", "path", "'/dev/5c8c/01HP'"),
    "a query": ("aep://0123%40AdobeOrg/dev/5c8c?token=hush", "end", "'a query or a fragment'"),
    "a fragment": ("aep://0123%40AdobeOrg/dev/5c8c#part", "end", "'a query or a fragment'"),
}
REFUSED = pytest.mark.parametrize(("uri", "part", "given"), MALFORMED.values(), ids=MALFORMED)


def asset(**changes: Any) -> Any:
    given = {"ims_org_id": ORGANISATION, "sandbox_name": "dev", "dataset_id": CRM_PROFILES, **changes}
    return dataset_asset(**given)


def test_the_uri_names_the_organisation_the_sandbox_and_the_dataset() -> None:
    assert asset().uri == URI


@pytest.mark.parametrize("sandbox_name", ["dev", "prod-eu-2", "a_b"])
@pytest.mark.parametrize("dataset_id", [CRM_PROFILES, "a-B_3"])
def test_the_uri_gives_back_what_it_was_made_of(sandbox_name: str, dataset_id: str) -> None:
    address = DatasetAddress(ims_org_id=ORGANISATION, sandbox_name=sandbox_name, dataset_id=dataset_id)
    assert address.ims_org_id == ORGANISATION
    assert DatasetAddress.parse(address.uri) == address
    assert DatasetAddress.parse(urlsplit(address.uri)) == address


def test_the_case_of_the_organisation_makes_no_difference() -> None:
    assert asset(ims_org_id=ORGANISATION.lower()) == asset()
    assert DatasetAddress.parse(URI.lower()).uri == URI


def test_an_asset_may_keep_something_besides() -> None:
    assert asset(extra={"owner": "crm"}).extra == {"owner": "crm"}
    assert not asset().extra


@pytest.mark.parametrize(
    ("argument", "value"),
    [("ims_org_id", "0123"), ("sandbox_name", "Dev"), ("sandbox_name", None), ("dataset_id", "CRM profiles")],
)
def test_an_argument_that_is_not_usable_is_named_with_what_is(argument: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=f"^{argument}: got {value!r}, expected "):
        asset(**{argument: value})


@REFUSED
def test_a_malformed_uri_is_refused_with_its_fault_and_the_form(uri: str, part: str, given: str) -> None:
    with pytest.raises(ValueError, match=f"^{part} in the URI of an asset: got ") as refused:
        sanitize_uri(urlsplit(uri))
    assert given in str(refused.value)
    assert str(refused.value).endswith(f", expected {FORM}")


@pytest.mark.parametrize(
    "uri", ["aep://me:hush@AdobeOrg/dev/5c8c", "aep://0123%40AdobeOrg/dev/5c8c?token=hush"]
)
def test_a_refusal_repeats_nothing_that_could_be_a_secret(uri: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        DatasetAddress.parse(uri)
    assert "hush" not in str(refused.value)


def test_the_form_that_a_refusal_shows_is_accepted() -> None:
    assert DatasetAddress.parse(FORM.split()[-1]).uri == URI


def test_the_hook_gives_the_asset_of_its_connection(desk: Desk) -> None:
    assert CatalogHook().dataset_asset(CRM_PROFILES) == asset()
    assert CatalogHook(sandbox_name="prod").dataset_asset(CRM_PROFILES) == asset(sandbox_name="prod")


def test_an_asset_needs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ADOBE_CATALOG_DEFAULT", json.dumps({"conn_type": "adobe_catalog"}))
    with pytest.raises(InvalidInputError, match="connection 'adobe_catalog_default'"):
        CatalogHook().dataset_asset(CRM_PROFILES)
    assert asset().uri == URI


@pytest.fixture(scope="module")
def airflow_knows() -> Any:
    """Airflow's own list of what is installed, with this package in it."""
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    handlers = manager.dataset_uri_handlers if IS_AIRFLOW_2 else manager.asset_uri_handlers
    if "aep" not in handlers:
        pytest.skip("airflow-provider-catalog is run from its checkout here, not installed")
    return manager


def test_airflow_keeps_the_uri_as_it_is(airflow_knows: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Asset(uri=URI).uri == URI


@pytest.mark.parametrize("uri", [URI.lower(), f"{URI}/", URI.replace("aep", "AEP"), f"{URI}#part"])
def test_airflow_keeps_other_spellings_in_the_one_form(uri: str, airflow_knows: Any) -> None:
    assert Asset(uri=uri).uri == URI


def test_airflow_makes_an_asset_of_the_parts_for_the_lineage_of_hooks(airflow_knows: Any) -> None:
    factories = airflow_knows.dataset_factories if IS_AIRFLOW_2 else airflow_knows.asset_factories
    parts = {"ims_org_id": ORGANISATION, "sandbox_name": "dev", "dataset_id": CRM_PROFILES}
    assert factories["aep"](**parts, extra=None) == asset()


@pytest.mark.parametrize(
    "uri", [f"aep://{ORGANISATION}/dev/{CRM_PROFILES}", "aep://0123%40AdobeOrg/dev"], ids=["@", "no dataset"]
)
def test_airflow_refuses_a_malformed_uri(uri: str, airflow_knows: Any) -> None:
    with refusal():
        Asset(uri=uri)


@contextmanager
def refusal() -> Iterator[None]:
    """Expect an exception, with Airflow 2.11 a warning."""
    if IS_AIRFLOW_2:
        with pytest.warns(UserWarning, match="in the URI of an asset: got "):
            yield
    else:
        with pytest.raises(ValueError, match="in the URI of an asset: got "):
            yield
