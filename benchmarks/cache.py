"""Where evaluations and derived tables are kept between runs: outside the repository."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def folder() -> Path:
    """``$HYBRIDBO_BENCH_CACHE``, else ``~/.cache/hybridbo-bench``."""
    given = os.environ.get("HYBRIDBO_BENCH_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "hybridbo-bench"


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, as other processes see it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)


def evaluation(problem: str, version: str, params: Mapping[str, Any], evaluate: Callable[[], float]) -> float:
    """The value of a configuration, evaluated at most once per machine; failures are kept too.

    Args:
        problem: Its name.
        version: Of whatever else decides the value: packages, the definition of the task.
        params: The configuration.
        evaluate: Called if nothing is kept.

    Raises:
        EvaluationFailed: The configuration failed, now or then.
    """
    from benchmarks.problem import EvaluationFailed

    key = json.dumps([problem, version, params], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()
    path = folder() / problem / name[:2] / f"{name}.json"
    if path.exists():
        kept = json.loads(path.read_text())
    else:
        try:
            kept = {"value": evaluate()}
        except EvaluationFailed as why:
            kept = {"value": None, "error": str(why)}
        write(path, json.dumps(kept | {"params": params, "version": version}).encode())
    if kept["value"] is None:
        raise EvaluationFailed(kept["error"])
    return float(kept["value"])
