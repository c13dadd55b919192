"""What the emulator's manual shows can be copied."""

import re
import subprocess
from pathlib import Path

from airflow_provider_catalog.emulator.server import Emulator

PAGE = Path(__file__).parent.parent.parent / "docs" / "emulator.md"


def run_commands(emulator: Emulator, beginning: str) -> str:
    """Run the block of shell commands that begins like this, against an emulator; give what it prints."""
    [commands] = [
        block
        for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if block.startswith(beginning)
    ]
    commands = commands.replace("http://127.0.0.1:8765", emulator.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_dataset_can_be_made(emulator: Emulator) -> None:
    answer = run_commands(emulator, "E=")
    [dataset_id] = re.findall(r"@/dataSets/([0-9a-f]+)", answer)
    assert emulator.platform.datasets.get("dev", dataset_id)["name"] == "Orders"


def test_an_answer_can_be_lost(emulator: Emulator) -> None:
    run_commands(emulator, "curl")
    [fault] = emulator.platform.faults.all()
    assert fault.effect.drop == "after"
