"""What can be set about the emulator; where the documentation contradicts itself, which reading it follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

SANDBOXES = ("dev", "prod")
DEFAULT_SANDBOX = "prod"
TENANT = "localtenant"


class InvalidSetting(ValueError):
    """A setting that does not exist, or a value that it cannot take."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Durations are seconds of the emulator's clock, sizes are bytes.

    Of two readings of the documentation the default is always the one that is harder on a client.
    """

    client_id: str = "local-client"
    """The API key that the gateway knows, and the client that IMS gives tokens to."""

    client_secret: str = "local-secret"  # noqa: S105 - public on purpose: it guards nothing
    """The secret that IMS asks for."""

    org: str = "0123456789ABCDEF01234567@AdobeOrg"
    """The organisation that owns everything here."""

    token_lifetime: float = 86_399
    """How long a token is valid; IMS says the same number as ``expires_in``."""

    promotion_seconds: float = 3.0
    """From the signal COMPLETE to the end of a batch."""

    catalog_lag: float = 0.3
    """How long a write stays invisible in the Catalog."""

    abandon_after: float = 86_400
    """How long a batch may stay ``loading``. Adobe publishes no figure."""

    deletion_after: float = 60
    """From ``inactive`` (reverted) to ``deleted``."""

    small_file_limit: int = 256_000_000
    """Largest body of one PUT. "256 MB" read as decimal, as the limit of a chunk (512000000) is."""

    chunk_limit: int = 512_000_000
    """Largest chunk of a large file: "0-512000000 bytes are accepted"."""

    chunk_total: Literal["optional", "required", "refused"] = "optional"
    """Whether a ``Content-Range`` ends with the size of the whole file. No page shows one: accepted are ``bytes 0-99``,
    ``bytes 0-99/*`` and ``bytes 0-99/200``; of these the last one only if it is required, the first one only if refused."""

    repeated_chunk: Literal["overlaps", "ignored"] = "overlaps"
    """Whether a chunk that is sent again, with the very same range, is one too many (the file cannot be completed any more) or
    is received and ignored. Documented is that overlaps are found at COMPLETE, not what counts as one."""

    received_ranges: Literal["bytes=", "bytes", "bare", "none"] = "bytes="
    """How HEAD tells which bytes have arrived, which no page shows: ``bytes=0-99,200-299`` (as HTTP writes this header),
    ``bytes 0-99,200-299``, ``0-99,200-299``, or not at all."""

    file_action_status: Literal[200, 201] = 201
    """The status of INITIALIZE and COMPLETE of a large file: 201 (guides) or 200 (specification)."""

    path_in_use: Literal["refused", "replaced"] = "refused"
    """What becomes of INITIALIZE where there is a file or an upload, and of PUT where there is an upload: 400, or what is there
    is deleted. Undocumented; that PUT replaces a file is documented."""

    second_completion: Literal["refused", "accepted"] = "refused"
    """Whether a large file can be completed once more, without effect. Undocumented."""

    unfinished_files: Literal["fail", "refused"] = "fail"
    """What becomes of COMPLETE of a batch with a large file that is not completed: it is accepted and the batch fails, or it is
    refused with 400. Undocumented."""

    max_batch_files: int = 25_000
    """Most files of a batch. One with more fails."""

    max_batch_bytes: int = 1_099_511_627_776
    """Most bytes in all files of a batch. One with more fails."""

    external_id_unique: bool = False
    """Whether a second batch with the same ``externalId`` is refused with 409. Documented is an expectation only."""

    input_format_required: bool = True
    """Whether a batch without ``inputFormat`` is refused (specification) or taken for Parquet (overview)."""

    bodies: Literal["empty", "json"] = "empty"
    """What uploads, and actions on files and batches, answer with: nothing (guides) or a JSON object (specification), and to a
    chunk the header ``Range`` as well."""

    created_status: Literal[200, 201] = 200
    """The status of a PUT that creates a file: 200 (guides) or 201 (specification). Replacing is always 200."""

    abort_until: Literal["loaded", "finished"] = "loaded"
    """How late ABORT is accepted: before COMPLETE (status tables), or until the batch has ended (guide)."""

    limited_look_ups: bool = True
    """Whether a look-up of several ids obeys ``limit``, and its default of 20, as lists do. Undocumented."""

    success_word: Literal["success", "active"] = "success"
    """Which of the two words for success the Catalog uses."""

    failure_word: Literal["failed", "failure"] = "failed"
    """Which of the two words for failure the Catalog uses."""

    empty_batch: Literal["failed", "success"] = "failed"
    """How a batch without any file ends. Undocumented; 106 ("empty") is the nearest documented complaint."""

    csv_metrics: bool = False
    """Whether CSV batches carry metrics. The documentation says that they do not."""

    batch_has_id: bool = False
    """Whether a Catalog batch repeats its id among its fields: live samples do, the specification does not."""

    unknown_fields: Literal["rejected", "ignored"] = "rejected"
    """What becomes of a row with a field that the schema lacks. Of batches nothing is said, except that their files hold
    a subset of the schema's fields; validation of streams, which is documented, refuses such a row."""

    diagnostics_retention: float = 30 * 86_400
    """How long after a batch has ended its diagnostics can be read: "up to 30 days"."""

    diagnostics_rows: int = 1000
    """Most lines in one file of diagnostics. That there may be several is documented, how long they are is not."""

    sample_file: Literal["row_errors_sample.json", "row_error_samples.json"] = "row_errors_sample.json"
    """The name of the sample of row errors: the specification has both."""

    link_base: str = ""
    """Scheme, host and port of the links in answers; empty for those under which the client has come. Adobe's samples
    have ``https://platform.adobe.io:443``."""

    range_limit: int = 8_000_000
    """Most bytes in the answer to a request for a range. It may hold less than was asked for, the specification says."""

    head_of_small_files: bool = True
    """Whether HEAD finds a file that was uploaded in one piece. The specification speaks of large ones."""

    scalar_tags: bool = True
    """Whether ``acp_*`` tags are bare values (live samples) rather than lists of strings (specification)."""


SECRET_SETTINGS = frozenset({"client_secret"})
_POSITIVE = frozenset({"diagnostics_rows", "range_limit"})
_LONGEST = 100 * 365 * 86_400  # seconds: moments stay such that they can be written down


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with some of them changed.

    Values may be JSON values or, as a command line has them, strings. Raises InvalidSetting.
    """
    hints = get_type_hints(Settings)
    unknown = sorted(set(changes) - set(hints))
    if unknown:
        raise InvalidSetting(f"no such setting: {', '.join(unknown)} (there are: {', '.join(hints)})")
    converted = {name: _converted(name, hints[name], value) for name, value in changes.items()}
    return dataclasses.replace(settings, **converted)


def as_dict(settings: Settings) -> dict[str, Any]:
    """Return the settings as JSON values, without the secret."""
    return {
        name: value for name, value in dataclasses.asdict(settings).items() if name not in SECRET_SETTINGS
    }


def _converted(name: str, hint: Any, value: Any) -> Any:
    choices = get_args(hint) if get_origin(hint) is Literal else (True, False) if hint is bool else ()
    if choices:
        by_text = {str(choice).lower(): choice for choice in choices}
        text = "" if value is None else str(value).lower()  # the text "none" is a choice
        if text not in by_text:
            raise InvalidSetting(f"{name} is one of {', '.join(by_text)}, not {value!r}")
        return by_text[text]
    if hint is str:
        if not isinstance(value, str):
            raise InvalidSetting(f"{name} is a text")  # what it is instead may be a secret
        return value
    try:
        number = hint(value)
    except (TypeError, ValueError):
        raise InvalidSetting(f"{name} is a number, not {value!r}") from None
    except OverflowError:
        number = float("inf")
    if not 0 <= number < float("inf"):
        raise InvalidSetting(f"{name} is not negative, and finite, not {value!r}")
    if hint is float and number > _LONGEST:
        raise InvalidSetting(f"{name} is at most {_LONGEST} seconds, a hundred years, not {value!r}")
    if number < 1 and name in _POSITIVE:
        raise InvalidSetting(f"{name} is at least 1, not {value!r}")
    return number
