import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridbo.redaction import environment_secrets, redacted

SECRET = "sk-ab/cd+ef=0123456789"


@pytest.mark.parametrize(
    "spelt",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        "".join(f"%{byte:02X}" for byte in SECRET.encode()),
        json.dumps(SECRET).replace("/", "\\/"),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        *(base64.b64encode(f"{before}{SECRET}:after".encode()).decode() for before in ("", "a", "ab", "Bearer ")),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        SECRET.replace("+", "&#43;").replace("-", "\\u002d"),
    ],
)
def test_a_secret_is_found_however_it_is_spelt(spelt):
    out = redacted(f"before {spelt} after", [SECRET])
    assert "[key]" in out
    assert out.startswith("before ")
    assert out.endswith(" after")
    assert spelt[8:-8] not in out


@given(before=st.text(max_size=5), secret=st.text(min_size=12, max_size=40), after=st.text(max_size=5))
def test_any_secret_is_found_in_any_text(before, secret, after):
    assert secret not in redacted(before + secret + after, [secret], hidden="\0")
    encoded = base64.b64encode((before + secret + after).encode()).decode()
    assert redacted(encoded, [secret]) != encoded


def test_other_text_stays_as_it_is():
    text = 'sk-ab/cd+ef {"lr": 0.001} none EMPTY'
    assert redacted(text, [SECRET, "none", "EMPTY", ""]) == text


def test_a_secret_within_another_leaves_nothing_of_it():
    assert redacted("abcdefgh-ijk", ["abcdefgh", "abcdefgh-ijk"]) == "[key]"


def test_secrets_of_the_environment(monkeypatch):
    for name, value in {
        "A_KEY": "first-of-all ",
        "B_TOKEN": "short",
        "C": "not-named-so",
        "D_PASSWORD": "the-second",
    }.items():
        monkeypatch.setenv(name, value)
    assert {"first-of-all", "the-second"} <= set(environment_secrets())
    assert not {"short", "not-named-so"} & set(environment_secrets())
