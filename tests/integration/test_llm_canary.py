"""A key is planted where users put one, and the provider broken in every way: no file, log or message holds it."""

import base64
import io
import json
import logging
import socket
import threading
from urllib.parse import quote

import pytest

from hybridbo import Float, Optimizer, errors
from hybridbo.backends import get_backend
from hybridbo.backends.openai_chat import OpenAIChat
from hybridbo.cli import main
from hybridbo.testing import ScriptedBackend
from hybridbo.testing.chat_server import FAULTS, ChatServer, answer, completion, respond

pytestmark = pytest.mark.slow

CANARY = "sk-canary/0123+456=789abcdef"
PASSWORD = "pass-canary:9876/54=3210"
SECRETS = (CANARY, PASSWORD)
SPACE = {"lr": Float(1e-5, 1e-1, log=True)}


def _spellings(secret, *, whole=False):
    """What a secret may look like: as it is, escaped, encoded; not whole, what is certain wherever it stands."""
    ways = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], secret.replace("/", "\\/")}
    ways |= {secret.encode().hex(), "".join(f"%{byte:02X}" for byte in secret.encode())}
    for before in ("", "x", "xy"):  # the three ways to stand in a longer text
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode((before + secret).encode()).decode()
            ways.add(encoded if whole else encoded.strip("=")[3 if before else 0 : -3])
    return ways


FORBIDDEN = sorted({way for secret in SECRETS for way in _spellings(secret)})


def _found(text):
    return [way for way in FORBIDDEN if way in text]


def _echoes(status, headers=None, shape=lambda echo: {"error": {"message": echo, "code": "invalid_api_key"}}):
    """An error whose body quotes the request's credentials in every spelling."""

    def act(exchange):
        given = exchange.headers.get("Authorization", "")
        echo = " ".join([given, *_spellings(CANARY, whole=True), *_spellings(PASSWORD, whole=True)])
        exchange.send(status, shape(echo), headers)

    return act


def _redirects(status):
    def act(exchange):
        place = f"/v1/chat/completions?key={quote(CANARY, safe='')}&again={CANARY}"
        exchange.send(status, f"Moved to {place}", {"Location": place, "X-Echo": CANARY})

    return act


STATUSES = [
    300,
    301,
    302,
    307,
    308,
    400,
    401,
    402,
    403,
    404,
    405,
    408,
    409,
    413,
    415,
    418,
    422,
    425,
    429,
    500,
    502,
    503,
]
ACTS = {
    **{f"fault {name}": act for name, act in FAULTS.items()},
    **{f"echo {status}": _echoes(status) for status in STATUSES if status >= 400},
    **{f"redirect {status}": _redirects(status) for status in STATUSES if status < 400},
    "echo as text": _echoes(401, shape=lambda echo: echo),
    "echo in a list": _echoes(
        422, shape=lambda echo: {"detail": [{"loc": ["body", echo], "msg": echo, "input": echo}]}
    ),
    "echo in headers": _echoes(401, {"X-Echo": CANARY, "WWW-Authenticate": f"Basic {PASSWORD}"}),
    "echo in an error of 200": _echoes(200),
    "echo in a reply": answer(
        f'{{"configs": [{{"lr": "{CANARY}"}}], "rationale": "{CANARY} {quote(PASSWORD, safe="")}"}}'
    ),
    "echo in a refusal": respond(200, completion(choices=[{"message": {"content": None, "refusal": CANARY}}])),
    "echo in the model": answer("{}", model=f"model {CANARY}"),
    "echo in a wrong type": respond(200, completion(choices=[{"message": {"content": {CANARY: PASSWORD}}}])),
}


@pytest.fixture
def watched(tmp_path, monkeypatch, capfd):
    """What is written anywhere while the test runs; called at its end, it says what it found of the secrets."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    (tmp_path / "out").mkdir()

    def look(*texts):
        written = capfd.readouterr()
        files = {str(path): path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()}
        places = {"log": stream.getvalue(), "stdout": written.out, "stderr": written.err, "texts": "\n".join(texts)}
        return {name: found for name, text in {**files, **places}.items() if (found := _found(text))}

    yield look
    root.removeHandler(handler)
    root.setLevel(level)


def _with_userinfo(base_url):
    return base_url.replace("//", f"//user:{quote(PASSWORD, safe='')}@")


def _search(tmp_path, backend, **llm):
    """Search, export and show; the texts of everything that a user may look at."""
    store = tmp_path / "s.db"
    settings = {"seed_trials": 9, "llm": {"timeout_s": 0.3, "retries": 0, "breaker_failures": None, **llm}}
    with Optimizer(SPACE, task="t", llm=backend, store=store, study="s", seed=0, settings=settings) as opt:
        for _ in range(4):
            opt.tell(opt.ask(), 1.0)
        texts = [repr(backend), opt.llm, repr(opt.trials), repr(opt.events), repr(opt.store.get_calls("s"))]
    for form in ("json", "csv"):
        _run("export", str(store), "s", "--format", form, "-o", str(tmp_path / "out" / form))
    _run("show", str(store), "s")
    return texts


def _run(*words):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert not ended.value.code


@pytest.mark.parametrize("name", ACTS)
def test_no_spelling_of_a_key_is_left_anywhere(name, tmp_path, watched):
    with ChatServer([ACTS[name]]) as server:
        backend = OpenAIChat("m", _with_userinfo(server.base_url))
        texts = _search(tmp_path, backend)
        assert server.requests
    assert watched(*texts) == {}


def test_a_key_in_the_query_of_the_address(watched):
    with pytest.raises(errors.InvalidSettings) as caught:
        OpenAIChat("m", f"http://user:{quote(PASSWORD, safe='')}@127.0.0.1:9/v1?api_key={CANARY}")
    assert watched(str(caught.value), repr(caught.value)) == {}


def test_a_key_instead_of_a_model(watched):
    with pytest.raises(errors.UnknownBackend) as caught:
        get_backend(f"openai:{CANARY.replace('/', '').replace('+', '').replace('=', '')}")
    assert watched(str(caught.value)) == {}
    assert "0123" not in str(caught.value)


def test_no_server_and_one_that_speaks_no_tls(tmp_path, watched):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up():
            for _ in range(2):
                connection, _ = listener.accept()
                connection.sendall(b"220 no TLS here\r\n" + CANARY.encode())
                connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        texts = _search(tmp_path, OpenAIChat("m", _with_userinfo(f"https://127.0.0.1:{port}/v1")), max_failures=2)
        thread.join(5)
    texts += _search(tmp_path, OpenAIChat("m", _with_userinfo(f"http://127.0.0.1:{port}/v1")))
    assert watched(*texts) == {}


@pytest.mark.parametrize(
    "words",
    [CANARY, quote(CANARY, safe=""), base64.b64encode(f"Bearer {CANARY}".encode()).decode(), repr({"k": CANARY})],
)
def test_exceptions_and_replies_of_somebody_elses_backend(words, tmp_path, watched):
    class Leak(ValueError):
        """As libraries of other providers raise."""

    failures = [Leak(f"401 for {words}"), errors.BackendBadReply(f"what is {words}?", f"not {words}"), f"text {words}"]
    assert watched(*_search(tmp_path, ScriptedBackend(failures), max_failures=9)) == {}


def test_the_search_finds_what_it_looks_for(tmp_path, watched):
    """Else all of the above would say nothing."""
    (tmp_path / "leak").write_text(base64.b64encode(f"user:{PASSWORD}!".encode()).decode())
    logging.getLogger("x").warning("at %s", quote(CANARY, safe=""))
    found = watched(CANARY)
    assert set(found) == {str(tmp_path / "leak"), "log", "texts"}
