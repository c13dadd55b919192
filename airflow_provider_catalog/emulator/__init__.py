"""Adobe Experience Platform's batch ingestion on a laptop: a small HTTP server that keeps to the documentation.

Start it with ``python -m airflow_provider_catalog.emulator``, or inside a test with
:func:`airflow_provider_catalog.emulator.server.running`. It needs the extra ``[emulator]`` and nothing else
of this package.

How a request travels: :mod:`.wire` (the socket) -> :mod:`.journal` (the request log) -> :mod:`.faults` ->
:mod:`.gateway` (headers, token, sandbox) -> :mod:`.routes` (the services) -> :mod:`.platform` (their state).
"""
