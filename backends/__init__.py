"""Adapters to language models: text in, text out, knowing nothing of optimisation.

:func:`get_backend` turns what a user wrote as ``llm=`` into a backend. Third parties add their own under the
entry-point group ``hybridbo.backends``: the entry point ``mine = "package:make"`` serves ``llm="mine:REST"`` by
calling ``make("REST")``, which returns a :class:`~hybridbo.ports.ChatBackend`.

The variables of the environment that are read, and nothing else: ``HYBRIDBO_LLM`` (what ``"auto"`` means),
``OPENAI_API_KEY``, ``OPENAI_BASE_URL`` (a server of your own), and those that the openai package reads itself.
"""

from __future__ import annotations

if __name__ != "hybridbo.backends":
    raise ImportError("import hybridbo.backends, not backends")

import os
from importlib.metadata import EntryPoint, entry_points

from hybridbo.backends.redact import Redactor
from hybridbo.errors import UnknownBackend
from hybridbo.ports import ChatBackend

__all__ = ["GROUP", "get_backend"]

GROUP = "hybridbo.backends"
"""The entry-point group of third-party backends."""

_REMEDY = (
    'Use None, "auto", "openai:MODEL", "local:FILE.gguf", "replay:FILE", or an object with .name and '
    ".complete(request)."
)


def get_backend(spec: ChatBackend | str | None) -> ChatBackend | None:
    """The backend that ``llm=`` names. Nothing is sent anywhere yet.

    Args:
        spec: One of

            - None or ``"none"``: no language model;
            - ``"auto"``: what ``HYBRIDBO_LLM`` says if it is set, else an OpenAI-compatible model if
              ``OPENAI_API_KEY`` or ``OPENAI_BASE_URL`` is set, else none;
            - ``"openai:MODEL"``; ``"openai"`` alone takes the first model that the server at ``OPENAI_BASE_URL``
              lists, or a default one of the hosted service;
            - ``"local:FILE.gguf"``: a model in a file, run by llama.cpp in a child process (``hybridbo[local]``);
            - ``"replay:FILE"``; ``"replay:FILE#1"`` plays the second sample of a recording with several;
            - ``"NAME:REST"`` of an installed package that registers NAME;
            - a ChatBackend, which is returned as it is.

    Raises:
        UnknownBackend: It names no backend, or one that could not be made.
        InvalidSettings: The recording or the model cannot be read, or the address of the server is wrong.
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        if isinstance(spec, type) or not isinstance(spec, ChatBackend):
            raise UnknownBackend(f"llm={type(spec).__name__} object: it is no ChatBackend.", _REMEDY)
        return spec
    name, _, rest = spec.strip().partition(":")
    return _named(name.strip().lower(), rest.strip(), spec)


def _named(name: str, rest: str, spec: str) -> ChatBackend | None:
    if not rest and name == "none":
        return None
    if not rest and name == "auto":
        return _auto()
    if name == "openai":
        return _openai(rest, spec)
    if name == "replay" and rest:
        return _replay(rest)
    if name == "local" and rest:
        from hybridbo.backends.local import LocalModel

        return LocalModel(rest)
    plugins = {entry.name.lower(): entry for entry in entry_points(group=GROUP)}
    if name not in plugins:
        known = ", ".join(dict.fromkeys(["none", "auto", "openai", "local", "replay", *sorted(plugins)]))
        raise UnknownBackend(f"llm={_shown(spec)} names no backend; known: {known}.", _REMEDY)
    return _plugin(plugins[name], rest)


def _auto() -> ChatBackend | None:
    wanted = os.environ.get("HYBRIDBO_LLM", "").strip()
    if wanted and wanted.lower() != "auto":
        return get_backend(wanted)
    if any(os.environ.get(key, "").strip() for key in ("OPENAI_API_KEY", "OPENAI_BASE_URL")):
        return _openai("", "openai")
    return None


def _openai(model: str, spec: str) -> ChatBackend:
    from hybridbo.backends.openai_chat import OpenAIChat

    if model and Redactor.looks_like_key(model):
        raise UnknownBackend(
            f"llm={_shown(spec)}: that is a key, not a model.", 'Set OPENAI_API_KEY and write "openai:MODEL".'
        )
    if not model and ":" in spec:
        raise UnknownBackend(
            f"llm={_shown(spec)} names no model.", 'Write "openai:MODEL", or "openai" for the default one.'
        )
    return OpenAIChat(model or None)


def _replay(rest: str) -> ChatBackend:
    from hybridbo.backends.replay import Replay

    path, mark, sample = rest.rpartition("#")
    if mark and path and sample.isascii() and sample.isdigit() and not os.path.exists(rest):  # noqa: PTH110  # a text
        return Replay(path, int(sample))
    return Replay(rest)


def _plugin(entry: EntryPoint, rest: str) -> ChatBackend:
    try:
        backend: object = entry.load()(rest)
    except UnknownBackend:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever somebody else's package raises
        reason = Redactor().message(f"{type(error).__name__}: {error}")
        raise UnknownBackend(
            f"the backend {entry.name!r} ({entry.value}) could not be made: {reason}.",
            "Repair or remove the package that registers it.",
        ) from None
    if isinstance(backend, type) or not isinstance(backend, ChatBackend):
        raise UnknownBackend(
            f"the backend {entry.name!r} ({entry.value}) made a {type(backend).__name__}, which is no ChatBackend.",
            "It must return an object with .name and .complete(request).",
        )
    return backend


def _shown(spec: str) -> str:
    return repr(Redactor().message(spec, 80))
