"""Pre-flight validation: records are held against the schema of their dataset before anything of them is sent.

:mod:`.preflight.xdm` reads the schema, :mod:`.preflight.translation` makes one JSON Schema of it that knows the platform's type
conversions (:mod:`.preflight.conversion`), :mod:`.preflight.validators` run that, :mod:`.preflight.records` reads JSON,
:mod:`.preflight.parquet` compares columns, and :mod:`.preflight.inspection` puts all this together.
"""
