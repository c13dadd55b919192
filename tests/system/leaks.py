"""Looks for secrets in everything that a run of Airflow leaves behind."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from airflow_stack import RealAirflow
from cryptography.fernet import Fernet
from sqlalchemy import create_engine, inspect, select, table, text
from sqlalchemy.engine import Engine

FERNET_TOKEN = re.compile(r"gAAAA[\w=-]{60,}")


def places_of(secrets: Collection[str], airflow: RealAirflow) -> set[str]:
    """Return where any of the secrets is found: files by their path, and `table.column` of the database."""
    in_database = columns_with(secrets, create_engine(airflow.database))
    return {*files_with(secrets, airflow.home), *in_database}


def files_with(secrets: Collection[str], home: Path) -> Iterator[str]:
    """Search the log of every task and process, and what the processes printed."""
    for folder in ("logs", "output"):
        for path in (home / folder).rglob("*"):
            if path.is_file() and contains(path.read_bytes(), secrets):
                yield str(path.relative_to(home))


def columns_with(secrets: Collection[str], engine: Engine) -> Iterator[str]:
    """Search every column of every table: XComs, rendered templates, serialized DAGs, task instances and all others."""
    with engine.connect() as connection:
        for name in inspect(engine).get_table_names():
            for row in connection.execute(select(text("*")).select_from(table(name))).mappings():
                yield from (f"{name}.{column}" for column, value in row.items() if contains(value, secrets))


def contains(value: object, secrets: Collection[str]) -> bool:
    """Say whether any of the secrets stands in a column's value or a file's content."""
    content = as_text(value)
    return any(secret in content for secret in secrets)


def trigger_rows(airflow: RealAirflow) -> str:
    """Return what the triggers are stored with now, decrypted: the rows are gone once a trigger has fired."""
    fernet = Fernet(airflow.fernet_key.encode())
    with create_engine(airflow.database).connect() as connection:
        rows = connection.execute(select(text("*")).select_from(table("trigger"))).all()
    stored = "\n".join(as_text(value) for row in rows for value in row)
    return FERNET_TOKEN.sub(lambda found: fernet.decrypt(found[0].encode()).decode(), stored)


def as_text(value: object) -> str:
    """Return a value in a form that a secret in it can be found in."""
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
