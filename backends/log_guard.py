"""Keeping keys out of the logs of the HTTP library and of the SDK.

Both log, when a program asks for their debug messages, the headers of a response and the address of a redirection:
a server that echoes the key there has it written into a file. A filter on their loggers takes the keys out of those
records; it changes no level and no handler, and no record without a key.
"""

from __future__ import annotations

import logging
import weakref

from hybridbo.backends.redact import Redactor

_LIBRARIES = ("openai", "httpx", "httpcore")


class _Guard(logging.Filter):
    """Takes the secrets of all backends that are alive out of a record."""

    def __init__(self) -> None:
        super().__init__()
        self.redactors: weakref.WeakValueDictionary[int, Redactor] = weakref.WeakValueDictionary()

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            told = record.getMessage()
        except Exception:  # noqa: BLE001  # whatever is wrong with it is for its handler to report
            return True
        text = told
        for redactor in list(self.redactors.values()):
            text = redactor.text(text)
        if text != told:
            record.msg, record.args = text, None
        return True


_GUARD = _Guard()


def guard(redactor: Redactor) -> None:
    """See that the secrets of a redactor stay out of those logs for as long as it lives; repeating it is harmless."""
    _GUARD.redactors[id(redactor)] = redactor
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith(_LIBRARIES):
            logging.getLogger(name).addFilter(_GUARD)
