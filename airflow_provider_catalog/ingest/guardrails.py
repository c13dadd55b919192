"""The platform's limits on one batch and what is sent into it: the one table.

===========================  ===============  ==================================================================
what                         limit            where it is documented
===========================  ===============  ==================================================================
one upload                   256,000,000      "256 MB" in the batch ingestion guides, which count in decimal elsewhere
one chunk of a large file    512,000,000      the batch ingestion guide, in digits
files in a batch             25,000           guardrails: more fail; fewer than 10,000 are recommended
bytes in a batch             1 TB             guardrails: more fail, with the number below; 100 GB are recommended
===========================  ===============  ==================================================================

See https://experienceleague.adobe.com/en/docs/experience-platform/ingestion/guardrails.
"""

from __future__ import annotations

SMALL_FILE_LIMIT = 256_000_000
"""Bytes of one upload, at most."""

CHUNK_LIMIT = 512_000_000
"""Bytes of one chunk, at most."""

FILES_LIMIT = 25_000
FILES_RECOMMENDED = 10_000
"""Files in a batch."""

BATCH_LIMIT = 1_099_511_627_776
BATCH_RECOMMENDED = 100_000_000_000
"""Bytes in a batch."""
