"""Pre-flight validation: records are held against the schema of their dataset before anything of them is sent.

:mod:`xdm` reads the schema, :mod:`translation` makes one JSON Schema of it that knows the platform's type conversions
(:mod:`conversion`), :mod:`validators` run that, :mod:`records` reads JSON, :mod:`parquet` compares columns, and
:mod:`inspection` puts all this together.
"""
