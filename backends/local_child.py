"""The program of the child process in which :mod:`hybridbo.backends.local` runs llama.cpp. It imports nothing of ours.

It is started as a file and talks in JSON, an object a line. It reads first how to load the model::

    {"model": PATH, "n_ctx": 8192, "n_threads": 4, "folder": where xllamacpp lies}

and answers ``{"ready": true}`` or ``{"fatal": WHY}``. Then it reads chat completions in OpenAI's form and answers each
with ``{"body": ...}`` or ``{"error": WHY}``. It ends when its standard input does: with its parent, however that ended.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from typing import IO, Any

_LOOK_S = 1.0  # how often to see whether the parent is still there


def main() -> None:
    """Serve until standard input ends."""
    # llama.cpp and its libraries print to the standard output of the process: it must not be the channel
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us or goes on
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, lines), daemon=True).start()
    threading.Thread(target=_outlive_nobody, args=(os.getppid(),), daemon=True).start()
    try:
        server = _load(json.loads(lines.get()))
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent has to be told
        _say(channel, {"fatal": _words(error)})
        return
    _say(channel, {"ready": True})
    while True:
        _say(channel, _answer(server, lines.get()))


def _listen(stream: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    """Take in lines; end the process at once, a running completion too, when there will be no more."""
    for line in stream:
        lines.put(line)
    os._exit(0)


def _outlive_nobody(parent: int) -> None:
    """End with the parent where a fork of it keeps our standard input open."""
    while sys.platform != "win32" and os.getppid() == parent:
        time.sleep(_LOOK_S)
    if sys.platform != "win32":
        os._exit(0)


def _load(asked: dict[str, Any]) -> Any:
    sys.path.insert(0, asked["folder"])
    llama = importlib.import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = asked["model"]
    params.n_ctx = asked["n_ctx"]
    params.n_parallel = 1  # one completion after the other, so that none depends on what else runs
    params.cache_ram_mib = 0
    params.ui = params.warmup = False
    params.verbosity = 1
    params.offline = True
    for part in (params.cpuparams, params.cpuparams_batch):
        part.n_threads = asked["n_threads"]
        part.poll = 0  # threads that wait do not spin: they may share their processors with trainings
    # the library serves HTTP whether it is wanted or not: on a socket file that is removed before anybody can find it
    folder = tempfile.mkdtemp(prefix="hybridbo-")
    try:
        params.hostnames = [os.path.join(folder, "s.sock")] if os.name == "posix" else ["127.0.0.1"]  # noqa: PTH118
        params.api_keys = [os.urandom(16).hex()]
        return llama.Server(params)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answer(server: Any, line: bytes) -> dict[str, Any]:
    try:
        return {"body": server.handle_chat_completions(json.loads(line))}
    except Exception as error:  # noqa: BLE001  # the library's, in whatever class
        return {"error": _words(error)}


def _say(channel: IO[bytes], what: dict[str, Any]) -> None:
    channel.write(json.dumps(what, default=str).encode() + b"\n")


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
    os._exit(0)  # threads of the library may be left
