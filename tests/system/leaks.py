"""Looks for a secret in everything that a run of Airflow leaves behind."""

import re
from collections.abc import Iterator
from pathlib import Path

from airflow_stack import RealAirflow
from cryptography.fernet import Fernet
from sqlalchemy import MetaData, create_engine, select
from sqlalchemy.engine import Engine

FERNET_TOKEN = re.compile(r"gAAAA[\w=-]{60,}")


def places_of(secret: str, airflow: RealAirflow) -> set[str]:
    """Return where the secret is found: `files` of logs and outputs by their path, `table.column` of the database."""
    return set(files_with(secret, airflow.home)) | set(columns_with(secret, engine_of(airflow)))


def files_with(secret: str, home: Path) -> Iterator[str]:
    """Search the log of every task and process, and what the processes printed."""
    for folder in ("logs", "output"):
        for path in (home / folder).rglob("*"):
            if path.is_file() and secret.encode() in path.read_bytes():
                yield str(path.relative_to(home))


def columns_with(secret: str, engine: Engine) -> Iterator[str]:
    """Search every column of every table: XComs, rendered templates, serialized DAGs, task instances and all others."""
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        for table in metadata.tables.values():
            for row in connection.execute(select(table)):
                for column, value in zip(table.columns, row, strict=True):
                    if secret in as_text(value):
                        yield f"{table.name}.{column.name}"


def trigger_rows(airflow: RealAirflow) -> str:
    """Return what the triggers are stored with, now, decrypted: the rows are gone once a trigger has fired."""
    fernet = Fernet(airflow.fernet_key.encode())
    engine = engine_of(airflow)
    metadata = MetaData()
    metadata.reflect(engine, only=["trigger"])
    with engine.connect() as connection:
        stored = "\n".join(
            as_text(value) for row in connection.execute(select(metadata.tables["trigger"])) for value in row
        )
    return FERNET_TOKEN.sub(lambda found: fernet.decrypt(found[0].encode()).decode(), stored)


def as_text(value: object) -> str:
    """Return a column's value in a form that a secret in it can be found in."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def engine_of(airflow: RealAirflow) -> Engine:
    """Connect to the database of the stack."""
    return create_engine(airflow.database)
