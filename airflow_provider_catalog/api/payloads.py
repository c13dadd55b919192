"""The body of ``POST /batches``, from the arguments that a user gives.

Values that come out of a template are texts, so ``"5"`` is taken for a number and ``"true"`` for a boolean where those are meant.

See https://developer.adobe.com/experience-platform-apis/references/batch-ingestion/ (createBatch).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_catalog.api.errors import InvalidInputError
from airflow_provider_catalog.api.validation import check_request

InputFormat = str | Mapping[str, Any]
Tags = Mapping[str, str | Sequence[str]]

SHORT_FORMATS: dict[str, dict[str, Any]] = {
    "json": {"format": "json"},
    "multiline-json": {"format": "json", "isMultiLineJson": True},
    "parquet": {"format": "parquet"},
    "csv": {"format": "csv"},
}
FORMATS_ALLOWED = (
    f"one of {', '.join(SHORT_FORMATS)}, or a mapping with a format of json, parquet or csv and its options"
)


def create_batch_payload(
    *,
    dataset_id: str,
    input_format: InputFormat,
    external_id: str | None = None,
    tags: Tags | None = None,
    enable_error_diagnostics: bool | str | None = None,
    partial_ingestion_percent: float | str | None = None,
    replay_predecessors: str | Sequence[str] | None = None,
    replay_predecessors_by_external_id: str | Sequence[str] | None = None,
    replay_reason: str | None = None,
) -> dict[str, Any]:
    """Build and check the body. Arguments that are None are left out.

    :raises InvalidInputError: an argument is not allowed; it says which.
    """
    options = {
        "externalId": external_id,
        "replay": _replay(replay_predecessors, replay_predecessors_by_external_id, replay_reason),
        "tags": _tags(tags),
        "enableErrorDiagnostics": _boolean(enable_error_diagnostics),
        "partialIngestionPercent": _number(partial_ingestion_percent),
    }
    payload = {
        "datasetId": dataset_id,
        "inputFormat": input_format_payload(input_format),
        **{name: value for name, value in options.items() if value is not None},
    }
    check_request(payload, "createBatch")
    return payload


def input_format_payload(value: InputFormat) -> dict[str, Any]:
    """Build and check ``inputFormat``.

    :param value: ``json`` (one object a line), ``multiline-json`` (one array, or objects over several lines), ``parquet``,
        ``csv``, or a mapping in Adobe's names, such as ``{"format": "csv", "delimiter": ";"}``.
    :raises InvalidInputError: the format is unknown, or has options that are not its own.
    """
    if isinstance(value, Mapping):
        payload = dict(value)
    elif isinstance(value, str) and value.lower() in SHORT_FORMATS:
        return dict(SHORT_FORMATS[value.lower()])
    else:
        raise InvalidInputError("input_format", value, FORMATS_ALLOWED)
    # Adobe's reference spells the formats in several cases; its examples send lower case.
    name = str(payload.get("format")).lower()
    if name not in ("json", "parquet", "csv"):
        raise InvalidInputError("input_format", value, FORMATS_ALLOWED)
    payload["format"] = name
    for option in ("header", "isMultiLineJson"):
        if option in payload:
            payload[option] = _boolean(payload[option])
    check_request(payload, f"{name}Format")
    return payload


def _replay(
    predecessors: str | Sequence[str] | None,
    by_external_id: str | Sequence[str] | None,
    reason: str | None,
) -> dict[str, Any] | None:
    replay: dict[str, Any] = {}
    if predecessors is not None:
        replay["predecessors"] = _with_dollar(predecessors)
    if by_external_id is not None:
        replay["predecessorsByExternalId"] = _with_dollar(by_external_id)
    if replay:
        return {"reason": "replace" if reason is None else reason, **replay}
    if reason is not None:
        raise InvalidInputError("replay_reason", reason, "None, unless batches to replay are given as well")
    return None


def _with_dollar(ids: Any) -> Any:
    """Adobe wants each id that comes from a client to be prefixed with a dollar sign."""
    if isinstance(ids, str):
        ids = [ids]
    if not isinstance(ids, Sequence):
        return ids
    return [f"${given.removeprefix('$')}" if isinstance(given, str) else given for given in ids]


def _tags(tags: Tags | None) -> Any:
    if not isinstance(tags, Mapping):
        return tags
    return {name: list(held) if isinstance(held, list | tuple) else [held] for name, held in tags.items()}


def _boolean(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _number(value: Any) -> Any:
    if not isinstance(value, str | float):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    # Not-a-number and infinity are floats that no JSON has; as texts they are refused by their type.
    if not math.isfinite(number):
        return str(value)
    return int(number) if number.is_integer() else number
