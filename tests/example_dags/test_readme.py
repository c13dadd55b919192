"""What the front door shows can be copied."""

import re
from pathlib import Path

README = Path(__file__).parent.parent.parent / "README.md"


def test_the_dag_to_copy_loads() -> None:
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    wait = names["wait"]
    assert wait.upstream_task_ids >= {"open_batch", "complete"}
    assert wait.deferrable
