"""The datasets and schemas that every sandbox starts with."""

from __future__ import annotations

from typing import Any

from .settings import TENANT

Json = dict[str, Any]

CRM_PROFILES = "5c8c3c555033b814b69f947f"
LOYALTY_MEMBERS = "5e8f1d2b9a4c7018ad64e210"
PAGE_VIEWS = "5ea2b7c40f3d9118ab5c6e34"

_PROFILE_CLASS = "https://ns.adobe.com/xdm/context/profile"
_EVENT_CLASS = "https://ns.adobe.com/xdm/context/experienceevent"
_ADHOC_CLASS = f"https://ns.adobe.com/{TENANT}/classes/loyalty_members"
CONTENT_TYPE = "application/vnd.adobe.xed+json;version=1"

_STRING: Json = {"type": "string", "meta:xdmType": "string"}
_INTEGER: Json = {"type": "integer", "meta:xdmType": "int"}
_NUMBER: Json = {"type": "number", "meta:xdmType": "number"}
_BOOLEAN: Json = {"type": "boolean", "meta:xdmType": "boolean"}
_DATE: Json = {"type": "string", "format": "date", "meta:xdmType": "date"}
_DATE_TIME: Json = {"type": "string", "format": "date-time", "meta:xdmType": "date-time"}


def _object(**fields: Json) -> Json:
    return {"type": "object", "meta:xdmType": "object", "properties": fields}


def _list(items: Json) -> Json:
    return {"type": "array", "meta:xdmType": "array", "items": items}


def _map(values: Json) -> Json:
    return {"type": "object", "meta:xdmType": "map", "additionalProperties": values}


_IDENTITY = _object(id=_STRING, primary={**_BOOLEAN, "default": False}, authenticatedState=_STRING)
_PHONE = _object(number=_STRING, primary=_BOOLEAN, status=_STRING)
_EMAIL = _object(address={**_STRING, "format": "email"}, primary=_BOOLEAN, label=_STRING)
_PLACE = _object(
    latitude={**_NUMBER, "minimum": -90, "maximum": 90},
    longitude={**_NUMBER, "minimum": -180, "maximum": 180},
)
_ADDRESS = _object(
    street1=_STRING,
    street2=_STRING,
    city=_STRING,
    stateProvince=_STRING,
    country=_STRING,
    countryCode={**_STRING, "pattern": "^[A-Z]{2}$"},
    postalCode=_STRING,
    _schema=_PLACE,
)
_NAME = _object(
    courtesyTitle=_STRING,
    firstName=_STRING,
    middleName=_STRING,
    lastName=_STRING,
    suffix=_STRING,
    fullName=_STRING,
)
_PERSON = _object(
    name=_NAME,
    gender={
        **_STRING,
        "enum": ["male", "female", "not_specified", "non_specific"],
        "default": "not_specified",
    },
    birthDayAndMonth=_STRING,  # XDM has a pattern here, which Adobe's own sample records violate
    birthDate=_DATE,
    birthYear={**_INTEGER, "minimum": 1, "maximum": 32767},
)
_PROFILE_FIELDS: Json = {
    "_id": _STRING,
    "person": _PERSON,
    "identityMap": _map(_list(_IDENTITY)),
    "homePhone": _PHONE,
    "mobilePhone": _PHONE,
    "personalEmail": _EMAIL,
    "workEmail": _EMAIL,
    "homeAddress": _ADDRESS,
    "workAddress": _ADDRESS,
}
_EVENT_FIELDS: Json = {
    "_id": _STRING,
    "timestamp": _DATE_TIME,
    "eventType": _STRING,
    "identityMap": _map(_list(_IDENTITY)),
    "web": _object(webPageDetails=_object(name=_STRING, URL={**_STRING, "format": "uri"}, pageViews=_NUMBER)),
}
_MEMBER_FIELDS: Json = {
    "member_id": _STRING,
    "title": _STRING,
    "first_name": _STRING,
    "last_name": _STRING,
    "email": _STRING,
    "country": _STRING,
    "joined": _DATE,
    "points": _INTEGER,
}


def _schema(slug: str, title: str, class_id: str, fields: Json, required: tuple[str, ...] = ()) -> Json:
    schema: Json = {
        "$id": f"https://ns.adobe.com/{TENANT}/schemas/{slug}",
        "meta:altId": f"_{TENANT}.schemas.{slug}",
        "meta:resourceType": "schemas",
        "meta:class": class_id,
        "version": "1.0",
        "title": title,
        "type": "object",
        "properties": fields,
    }
    return {**schema, "required": list(required)} if required else schema


def _dataset(name: str, description: str, table: str, slug: str, behavior: str, file_format: str) -> Json:
    return {
        "name": name,
        "description": description,
        "schemaRef": {"id": f"https://ns.adobe.com/{TENANT}/schemas/{slug}", "contentType": CONTENT_TYPE},
        "fileDescription": {"persisted": True, "containerFormat": file_format, "format": file_format},
        "classification": {"dataBehavior": behavior, "managedBy": "CUSTOMER"},
        "tags": {"adobe/pqs/table": [table]},
    }


SCHEMAS: tuple[Json, ...] = (
    _schema("crm_profiles", "CRM profiles", _PROFILE_CLASS, _PROFILE_FIELDS),
    _schema("page_views", "Page views", _EVENT_CLASS, _EVENT_FIELDS, ("_id", "timestamp")),
    _schema("loyalty_members", "Loyalty members", _ADHOC_CLASS, _MEMBER_FIELDS),
)

DATASETS: dict[str, Json] = {
    CRM_PROFILES: _dataset(
        "CRM profiles", "Customers as the CRM knows them", "crm_profiles", "crm_profiles", "record", "parquet"
    ),
    PAGE_VIEWS: _dataset(
        "Page views", "What visitors looked at", "page_views", "page_views", "time-series", "parquet"
    ),
    LOYALTY_MEMBERS: _dataset(
        "Loyalty members", "A flat table for CSV files", "loyalty_members", "loyalty_members", "adhoc", "csv"
    ),
}

CLASSES: tuple[Json, ...] = tuple(
    {"$id": class_id, "meta:altId": f"_xdm.context.{slug}", "version": "1", "title": title}
    for class_id, slug, title in (
        (_PROFILE_CLASS, "profile", "XDM Individual Profile"),
        (_EVENT_CLASS, "experienceevent", "XDM ExperienceEvent"),
    )
)
