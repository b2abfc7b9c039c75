"""Keeping keys and passwords out of everything that is shown, logged or stored."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hybridbo.redaction import HIDDEN, redacted

_KEY = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|nvapi)[-_][\w*.\-]{8,}")  # of OpenAI and of those who speak its protocol
_BEARER = re.compile(r"\b(bearer|basic)\s+[^\s'\",;]{4,}", re.IGNORECASE)
_USERINFO = re.compile(r"//[^/\s@]+@")


@dataclass(frozen=True)
class Redactor:
    """Takes known secrets, and what looks like one, out of texts.

    Attributes:
        secrets: The key, the password, and whatever else must not be seen.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)

    @staticmethod
    def looks_like_key(text: str) -> bool:
        """Whether a text that should be something else is an API key."""
        return bool(re.fullmatch(r"(?:sk|gsk|xai|hf|nvapi)[-_][\w\-]{16,}", text))

    def text(self, text: str) -> str:
        """The text without the known secrets, and otherwise as it came: for replies."""
        return redacted(text, self.secrets)

    def message(self, text: str, limit: int = 200) -> str:
        """One short line without secrets or anything that looks like one: for errors."""
        text = self.text(text[:20_000])  # before it is cut short: half a key is a secret too
        text = _USERINFO.sub("//", _BEARER.sub(rf"\1 {HIDDEN}", _KEY.sub(HIDDEN, text)))
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= limit else text[: limit - 4].rstrip() + " ..."
