"""The operators' manual says something about every error that this package can give, and every warning that it can log."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

import airflow_provider_catalog
from airflow_provider_catalog.api import auth, problems, validation
from airflow_provider_catalog.api.errors import CatalogError
from airflow_provider_catalog.operators.ingest import ABORT_SECONDS

ROOT = Path(airflow_provider_catalog.__file__).parent
DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = " ".join((DOCS / "operations.md").read_text().split())

EXCEPTION = re.compile(r"[A-Z]\w*(Error|Exception)")
ARGUMENT = re.compile(r"[a-z]+(_[a-z]+)*")
SAYS_WHAT_IS_ALLOWED = "InvalidInputError"
NOT_FOR_USERS = {"AssertionError", "ValidationError"}
CHECKS_OF_ARGUMENTS = {"_require", "checked_base_url", "epoch_seconds", "new_file", "seconds", "_number"}
LOGGED = {"warning", "error", "exception"}
SHORTEST_WORDING = 8


@dataclass(frozen=True)
class Call:
    """A call in the source.

    :param name: what is called, without the object that it belongs to.
    :param arguments: the positional ones. Of a name, what is assigned to it anywhere in the module.
    """

    name: str
    arguments: list[list[ast.expr]]


@cache
def calls() -> list[Call]:
    """Give all calls in what a DAG uses of the package."""
    sources = [path for path in ROOT.rglob("*.py") if "emulator" not in path.relative_to(ROOT).parts]
    return [call for path in sources for call in calls_in(ast.parse(path.read_text()))]


def calls_in(module: ast.Module) -> Iterator[Call]:
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            parts = [part for part in ast.walk(node.value) if isinstance(part, ast.expr)]
            assigned.setdefault(node.targets[0].id, []).extend(parts)
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            arguments = [[each, *assigned.get(ast.unparse(each), ())] for each in node.args]
            yield Call(ast.unparse(node.func).rpartition(".")[2], arguments)


def wording(node: ast.expr) -> str | None:
    """Give the longest part of a text that is always the same; None if the node is no text, or too short a one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = re.split(r"%[-.\d]*[sdrf]", node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
    else:
        return None
    longest = " ".join(max(parts, key=len, default="").split()).strip(" .,:;('\"")
    return longest if len(longest) >= SHORTEST_WORDING else None


def messages() -> set[str]:
    """Give the fixed wording of all messages but those about arguments."""
    given = [
        text
        for call in calls()
        if is_exception(call) or is_failure(call)
        for argument in call.arguments
        for text in argument
    ]
    tree = ast.parse((ROOT / "api" / "errors.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "__str__":
            given += [text for text in ast.walk(node) if isinstance(text, ast.JoinedStr)]
    return {words for text in given if (words := wording(text))}


def is_exception(call: Call) -> bool:
    """Whether an exception is made, other than one that says what an argument may be."""
    return bool(EXCEPTION.fullmatch(call.name)) and call.name not in {SAYS_WHAT_IS_ALLOWED, *NOT_FOR_USERS}


def is_failure(call: Call) -> bool:
    """Whether the event of a wait is made that has failed."""
    outcome = ast.unparse(call.arguments[0][0]) if call.arguments else ""
    return outcome.startswith("Outcome.") and outcome != "Outcome.PROMOTED"


def arguments() -> set[str]:
    """Give the names of all arguments and connection fields that can be refused."""
    named = [call.arguments[:1] for call in calls() if call.name == SAYS_WHAT_IS_ALLOWED]
    named += [call.arguments[:2] for call in calls() if call.name in CHECKS_OF_ARGUMENTS]
    texts = {text for arguments in named for argument in arguments for text in argument}
    constants = {str(text.value) for text in texts if isinstance(text, ast.Constant)}
    return set(filter(ARGUMENT.fullmatch, constants)) | set(titles(validation._schemas("requests")))


def titles(schema: object) -> Iterator[str]:
    """Give the titles in a JSON Schema, which name arguments."""
    if isinstance(schema, dict):
        if isinstance(title := schema.get("title"), str):
            yield title
        for part in schema.values():
            yield from titles(part)


def warnings() -> set[str]:
    """Give the fixed wording of all that is logged as a warning or worse."""
    logged = [call.arguments[0][0] for call in calls() if call.name in LOGGED and call.arguments]
    return {words for text in logged if (words := wording(text))}


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.mark.parametrize("name", sorted({each.__name__ for each in subclasses(CatalogError)}))
def test_each_exception_is_explained(name: str) -> None:
    assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize("code", sorted([*problems.ADVICE_BY_CODE, *map(str, problems.ADVICE_BY_STATUS)]))
def test_each_code_and_status_with_advice_is_explained(code: str) -> None:
    assert f"`{code}`" in PAGE


@pytest.mark.parametrize(
    "advice",
    [problems.REDIRECT_ADVICE, auth.IMS_ADVICE, auth.NOT_RENEWABLE_ADVICE],
    ids=["redirect", "ims", "token"],
)
def test_each_other_advice_stands_there(advice: str) -> None:
    assert advice.rstrip(".") in PAGE


@pytest.mark.parametrize("message", sorted(messages()))
def test_each_message_stands_there(message: str) -> None:
    assert message in PAGE


@pytest.mark.parametrize("argument", sorted(arguments()))
def test_each_argument_that_can_be_refused_is_named(argument: str) -> None:
    assert f"`{argument}`" in PAGE


@pytest.mark.parametrize("warning", sorted(warnings()))
def test_each_warning_stands_there(warning: str) -> None:
    assert warning in PAGE


def test_the_pod_template_has_the_container_in_which_airflow_runs_tasks() -> None:
    pod = yaml.safe_load((DOCS / "pod_template.yaml").read_text())
    assert (pod["kind"], pod["spec"]["restartPolicy"]) == ("Pod", "Never")
    assert [container["name"] for container in pod["spec"]["containers"]] == ["base"]
    assert pod["spec"]["terminationGracePeriodSeconds"] > ABORT_SECONDS
