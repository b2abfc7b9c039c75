"""The command line: what it prints, where, and how it ends."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import hybridbo
from hybridbo.cli import main
from hybridbo.optimizer import Optimizer
from hybridbo.testing import ScriptedBackend

SPACE = {
    "x": {"type": "float", "low": -1, "high": 1},
    "kind": {"type": "categorical", "choices": ["a", "b"]},
    "n": {"type": "int", "low": 1, "high": 9, "when": {"kind": ["b"]}},
}


@pytest.fixture(autouse=True)
def _no_live_model(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("OPENAI_", "HYBRIDBO_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    return tmp_path


@pytest.fixture
def study(folder):
    """A study ``s`` in ``t.db``, without trials."""
    ok("init", "t.db", "s", "--space", "space.json", "--llm", "none", "--seed", "0", "--task", "find x")
    return folder


@pytest.fixture
def several(folder):
    """A study ``m`` of two objectives and a constraint."""
    goals = ["--objective", "error=minimize", "--objective", "gain = maximize", "--constraint", "gb <= 16"]
    ok("init", "t.db", "m", "--space", "space.json", "--llm", "none", *goals)
    return folder


def call(*args, **options):
    return CliRunner().invoke(main, args, **options)


def ok(*args, **options):
    done = call(*args, **options)
    assert done.exit_code == 0, done.output
    return done.stdout


def wrong(*args, status=2, **options):
    """The one line on standard error of a call that is refused."""
    done = call(*args, **options)
    assert (done.exit_code, done.stdout) == (status, ""), done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("hybridbo: ")
    return line


def asked(study="s"):
    return json.loads(ok("ask", "t.db", study))


def trials(study="s"):
    with Optimizer.load("t.db", study, llm=None) as opt:
        return opt.trials


def process(*args, **options):
    return subprocess.run(
        [sys.executable, "-m", "hybridbo", *args], capture_output=True, text=True, check=False, **options
    )


# A study by hand ---------------------------------------------------------------------------------------------------


def test_a_study_from_start_to_end(study):
    first, second = asked(), asked()
    assert (first["number"], second["number"]) == (0, 1)
    assert first["params"] != second["params"]
    ok("tell", "t.db", "s", "0", "0.5")
    ok("fail", "t.db", "s", "1", "--reason", "out of memory")
    assert [(t.state, t.value, t.error) for t in trials()] == [
        ("COMPLETE", 0.5, None),
        ("FAILED", None, "out of memory"),
    ]
    assert json.loads(ok("best", "t.db", "s", "--json"))["params"] == first["params"]
    assert ok("best", "t.db", "s").startswith("trial 0  value 0.5  x=")


def test_init_stores_what_it_was_given(study):
    with Optimizer.load("t.db", "s") as opt:
        assert (opt.seed, opt.task, opt.llm) == (0, "find x", "none")
        assert opt.space.to_dict() == hybridbo.Space.from_json(SPACE).to_dict()
        assert opt.objective.directions == (("value", "minimize"),)


def test_init_reads_standard_input_and_a_direction(folder):
    ok("init", "t.db", "s", "--space", "-", "--direction", "maximize", "--llm", "none", input=json.dumps(SPACE))
    with Optimizer.load("t.db", "s") as opt:
        assert opt.objective.directions == (("value", "maximize"),)


def test_init_of_the_same_study_again_keeps_it(study):
    asked()
    ok("init", "t.db", "s", "--space", "space.json", "--llm", "none")
    assert len(trials()) == 1


def test_a_trial_asked_for_stays_with_the_asker_and_is_not_offered_to_the_next(study):
    """The process that printed a trial is gone, and the trial goes on: unlike that of a killed ``run``."""
    numbers = [json.loads(process("ask", "t.db", "s", cwd=study).stdout)["number"] for _ in range(2)]
    assert numbers == [0, 1]


@pytest.mark.parametrize(
    ("text", "value"), [("-0.5", -0.5), ("-1e-05", -1e-5), ("-3", -3.0), ("1e3", 1000.0), ("0", 0.0)]
)
def test_any_finite_number_can_be_told(study, text, value):
    asked()
    ok("tell", "t.db", "s", "0", text)
    assert trials()[0].value == value


@pytest.mark.parametrize(
    "text", ["nan", "-inf", "inf", "1e999", "abc", "true", "", "[1]", '{"value": NaN}', '{"value"', "{}"]
)
def test_what_is_no_finite_number_is_refused(study, text):
    asked()
    wrong("tell", "t.db", "s", "0", text)
    assert trials()[0].state == "RUNNING"


def test_a_failure_told_as_nan_is_answered_with_the_remedy(study):
    assert "hybridbo fail" in wrong("tell", "t.db", "s", "0", "nan")


def test_several_objectives_are_told_as_an_object(several):
    for _ in range(3):
        asked("m")
    ok("tell", "t.db", "m", "0", '{"error": 0.5, "gain": -1, "gb": 9}')
    ok("tell", "t.db", "m", "1", '{"error": 0.4, "gain": -2, "gb": 9}')
    ok("tell", "t.db", "m", "2", '{"error": 0.1, "gain": 9, "gb": 99}')
    assert [t["number"] for t in json.loads(ok("best", "t.db", "m", "--json"))] == [0, 1]
    assert [line.split("  ")[:2] for line in ok("best", "t.db", "m").splitlines()] == [
        ["trial 0", "error 0.5, gain -1.0, gb 9.0"],
        ["trial 1", "error 0.4, gain -2.0, gb 9.0"],
    ]
    assert "breaks gb <= 16" in ok("show", "t.db", "m")


@pytest.mark.parametrize("text", ["0.5", '{"error": 0.5}', '{"error": 0.5, "gain": 1, "gb": 1, "x": 1}'])
def test_several_objectives_told_otherwise_are_refused(several, text):
    asked("m")
    wrong("tell", "t.db", "m", "0", text)


def test_telling_twice(study):
    asked()
    ok("tell", "t.db", "s", "0", "0.5")
    ok("tell", "t.db", "s", "0", "0.5")
    assert "0" in wrong("tell", "t.db", "s", "0", "0.25")
    wrong("fail", "t.db", "s", "0", "--reason", "late")
    assert trials()[0].value == 0.5


def test_an_exhausted_space_ends_the_asking(folder):
    (folder / "space.json").write_text('{"b": {"type": "categorical", "choices": [true, false]}}')
    ok("init", "t.db", "s", "--space", "space.json", "--llm", "none")
    assert {asked()["params"]["b"], asked()["params"]["b"]} == {True, False}
    wrong("ask", "t.db", "s")


# Looking -----------------------------------------------------------------------------------------------------------


def test_show_lists_the_studies(study):
    asked()
    ok("tell", "t.db", "s", "0", "0.5")
    (row,) = json.loads(ok("show", "t.db", "--json"))
    assert (row["study"], row["trials"], row["complete"], row["best"], row["llm"]) == ("s", 1, 1, 0.5, "none")
    assert "minimize value" in ok("show", "t.db")


def test_show_tells_a_study(study):
    asked()
    ok("fail", "t.db", "s", "0", "--reason", "[red]boom\x1b[2J")
    with Optimizer.load("t.db", "s", llm=None) as opt:
        opt.note("odd", "something was odd", 0)
    text = ok("show", "t.db", "s")
    for part in ("find x", "FAILED [red]boom", "default", "kind=a", "something was odd"):
        assert part in text
    assert "\x1b" not in text
    data = json.loads(ok("show", "t.db", "s", "--json"))
    assert data["trials"][0]["error"].startswith("[red]boom")
    assert ("odd", "something was odd", 0) in [(e["kind"], e["message"], e["trial"]) for e in data["events"]]
    assert data["llm_usage"]["calls"] == 0
    assert hybridbo.Space.from_json(data["space"]).to_dict() == hybridbo.Space.from_json(SPACE).to_dict()


@pytest.mark.parametrize("args", [["best", "t.db", "s"], ["best", "t.db", "s", "--json"]])
def test_best_of_nothing_is_refused(study, args):
    assert "hybridbo tell" in wrong(*args)


COMMANDS = [
    ["ask", "t.db", "s"],
    ["tell", "t.db", "s", "0", "1"],
    ["fail", "t.db", "s", "0", "--reason", "x"],
    ["best", "t.db", "s"],
    ["show", "t.db"],
    ["show", "t.db", "s"],
    ["export", "t.db", "s", "--format", "csv"],
]


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_a_store_that_is_not_there_is_not_made(folder, args):
    assert "hybridbo init" in wrong(*args)
    assert [file.name for file in folder.iterdir()] == ["space.json"]


@pytest.mark.parametrize("args", [c for c in COMMANDS if c != ["show", "t.db"]], ids=" ".join)
def test_an_unknown_study_is_refused(study, args):
    assert "'other'" in wrong(*["other" if arg == "s" else arg for arg in args])


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_a_file_that_is_no_store_is_a_fault(folder, args):
    (folder / "t.db").write_bytes(b"no database at all, but long enough to look at" * 100)
    wrong(*args, status=1)


# Export ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(study):
    for value in ("0.1", "0.3"):
        number = asked()["number"]
        ok("tell", "t.db", "s", str(number), value)
    return study


def test_export_as_csv(told):
    rows = list(csv.DictReader(io.StringIO(ok("export", "t.db", "s", "--format", "csv"))))
    assert [float(row["value"]) for row in rows] == [0.1, 0.3]
    assert [float(row["x"]) for row in rows] == [t.params["x"] for t in trials()]
    assert all((row["n"] == "") == (row["kind"] == "a") for row in rows)


def test_export_as_json(told):
    ok("export", "t.db", "s", "--format", "json", "-o", "out.json")
    data = json.loads((told / "out.json").read_text())
    assert [t["params"] for t in data["trials"]] == [t.params for t in trials()]


def test_an_export_that_fails_leaves_the_old_file(told, monkeypatch):
    (told / "out.csv").write_text("old")
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    assert "No space left" in wrong("export", "t.db", "s", "--format", "csv", "-o", "out.csv")
    assert (told / "out.csv").read_text() == "old"
    assert sorted(file.name for file in told.iterdir() if "out" in file.name) == ["out.csv"]


def test_an_export_replaces_the_old_file(told):
    (told / "out.csv").write_text("old")
    ok("export", "t.db", "s", "--format", "csv", "-o", "out.csv")
    assert (told / "out.csv").read_text() == ok("export", "t.db", "s", "--format", "csv")


def test_an_export_into_a_folder_that_is_not_there_is_refused(told):
    assert "nowhere" in wrong("export", "t.db", "s", "--format", "csv", "-o", "nowhere/out.csv")


def test_an_export_never_overwrites_its_own_store(told):
    wrong("export", "t.db", "s", "--format", "csv", "-o", str(told / "t.db"))
    assert len(trials()) == 2


# Wrong calls and faults --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "seen"),
    [
        (["nonsense"], "nonsense"),
        (["tell", "t.db", "s"], "NUMBER"),
        (["tell", "t.db", "s", "one", "1"], "one"),
        (["tell", "t.db", "s", "-1", "1"], "-1"),
        (["tell", "t.db", "s", "9", "1"], "9"),
        (["tell", "t.db", "s", "0", "1", "2"], "2"),
        (["fail", "t.db", "s", "0"], "--reason"),
        (["show", "--nonsense"], "--nonsense"),
        (["show", "."], "."),
        (["export", "t.db", "s", "--format", "xml"], "xml"),
        (["export", "t.db", "s", "--format", "optuna"], "-o FILE"),
        (["export", "t.db", "s", "--format", "optuna", "-o", "t.db"], "the store itself"),
        (["demo", "--trials", "0"], "--trials"),
        (["init", "t.db", "new", "--space", "none.json"], "none.json"),
        (["init", "t.db", "new", "--space", "space.json", "--direction", "up"], "up"),
        (["init", "t.db", "new", "--space", "space.json", "--objective", "error"], "error"),
        (["init", "t.db", "new", "--space", "space.json", "--objective", "error=down"], "down"),
        (["init", "t.db", "new", "--space", "space.json", "--constraint", "gb < 3"], "gb < 3"),
        (["init", "t.db", "new", "--space", "space.json", "--llm", "nonsense"], "nonsense"),
        (["init", "t.db", "s", "--space", "space.json", "--direction", "maximize"], "maximize"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_is_one_line_and_status_2(study, args, seen):
    assert seen in wrong(*args)
    with pytest.raises(hybridbo.errors.StudyNotFound):
        Optimizer.load("t.db", "new")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (b"{", "JSON"),
        (b"\xff\xfe{}", "JSON"),
        (b"[]", "object"),
        (b"{}", "empty"),
        (b'{"lr": {"type": "float", "low": 1, "high": 0}}', "'lr'"),
        (b'{"lr": {"type": "floaty"}}', "'floaty'"),
    ],
)
def test_a_wrong_space_is_refused_and_no_store_is_made(folder, text, seen):
    (folder / "space.json").write_bytes(text)
    assert seen in wrong("init", "t.db", "s", "--space", "space.json")
    assert not (folder / "t.db").exists()


def _raise(error):
    def method(*_args, **_options):
        raise error

    return method


def test_a_fault_is_one_line_and_status_1_and_debug_shows_where(study, monkeypatch):
    monkeypatch.setattr(Optimizer, "load", _raise(RuntimeError("two\nlines")))
    line = wrong("best", "t.db", "s", status=1)
    assert "RuntimeError: two lines" in line
    assert "--debug" in line
    for options in (
        {"args": ["best", "t.db", "s", "--debug"]},
        {"args": ["best", "t.db", "s"], "env": {"HYBRIDBO_DEBUG": "1"}},
    ):
        done = CliRunner().invoke(main, **options)
        assert done.exit_code == 1
        assert "Traceback (most recent call last)" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("hybridbo: RuntimeError")


def test_a_store_that_fails_is_a_fault(study, monkeypatch):
    monkeypatch.setattr(Optimizer, "load", _raise(hybridbo.errors.StoreBusy("busy.", "Try again.")))
    assert wrong("tell", "t.db", "s", "0", "1", status=1) == "hybridbo: busy. Try again."


def test_interrupted(study, monkeypatch):
    monkeypatch.setattr(Optimizer, "ask", _raise(KeyboardInterrupt()))
    done = call("ask", "t.db", "s")
    assert (done.exit_code, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr


# As a process ------------------------------------------------------------------------------------------------------


def test_ask_prints_one_line_of_json_and_nothing_else(study):
    done = process("ask", "t.db", "s", cwd=study)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout) == {"number": 0, "params": trials()[0].params}


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_a_trial_that_could_not_be_printed_is_offered_again(study, redirection):
    command = f'"{sys.executable}" -m hybridbo ask t.db s {redirection}'
    done = subprocess.run(["bash", "-c", command], cwd=study, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "trial 0 could not be printed" in done.stderr
    assert json.loads(ok("ask", "t.db", "s"))["number"] == 0


def test_what_a_backend_prints_does_not_reach_standard_output(study, monkeypatch):
    asking = Optimizer.ask

    def chatty(self, **options):
        print("hello from a backend")
        return asking(self, **options)

    monkeypatch.setattr(Optimizer, "ask", chatty)
    done = call("ask", "t.db", "s")
    assert json.loads(done.stdout)["number"] == 0
    assert "hello from a backend" in done.stderr


def test_a_wrong_call_of_the_process(study):
    done = process("tell", "t.db", "s", "0", "nan", cwd=study)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_show_tells_what_each_source_has_brought_and_whether_the_llm_helped(study):
    named = [{"x": 0.31, "kind": "a"}, {"x": 0.2, "kind": "b", "n": 3}]
    backend = ScriptedBackend([json.dumps({"configs": named})])
    with Optimizer.load("t.db", "s", llm=backend) as opt:
        for _ in range(8):
            trial = opt.ask()
            opt.tell(trial, (trial.params["x"] - 0.3) ** 2 + (trial.params["kind"] == "b"))
        found = opt.attribution()
    text = ok("show", "t.db", "s")
    assert "Did the language model help?" in text
    assert found.verdict in text
    assert found.reason in text
    data = json.loads(ok("show", "t.db", "s", "--json"))["attribution"]
    assert data == json.loads(json.dumps(found.to_dict()))
    assert [one["trials"] for one in data["sources"] if one["source"] == "llm"] == [2]


def test_show_says_nothing_of_an_llm_that_has_named_nothing(study):
    asked()
    ok("tell", "t.db", "s", "0", "1.5")
    text = ok("show", "t.db", "s")
    assert "Sources" in text
    assert "language model help" not in text


LOADED = """
import sys
from hybridbo.cli import main
try:
    main({args!r})
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *{{name.partition(".")[0] for name in sys.modules}}, file=sys.stderr)
"""


HEAVY = {"torch", "botorch", "gpytorch", "openai", "optuna", "pandas", "sklearn", "scipy"}


@pytest.fixture(scope="session")
def unavoidable():
    """What sqlite-utils loads by itself: pandas, and with it SciPy, where they are installed."""
    code = "import sys, sqlite_utils; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def loaded_by(args, folder):
    code = LOADED.format(args=args)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("loaded:")[2].split()), done.stdout


@pytest.mark.parametrize("args", [*COMMANDS[1:2], *COMMANDS[3:], ["--help"], ["--version"]], ids=" ".join)
def test_what_needs_no_model_loads_none(told, args, unavoidable):
    asked()
    loaded, _ = loaded_by(["2" if arg == "0" else arg for arg in args], told)
    assert "hybridbo" in loaded
    assert not (loaded & HEAVY) - unavoidable


def test_to_look_at_a_study_its_language_model_is_not_opened(folder, monkeypatch, unavoidable):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-key")
    ok("init", "t.db", "s", "--space", "space.json", "--llm", "openai:some-model")
    monkeypatch.delenv("OPENAI_API_KEY")
    loaded, text = loaded_by(["show", "t.db", "s"], folder)
    assert "openai:some-model" in text
    assert not (loaded & HEAVY) - unavoidable
    assert b"sk-not-a-real-key" not in (folder / "t.db").read_bytes()


def test_a_reader_that_leaves_early_is_no_news(told):
    with subprocess.Popen(
        [sys.executable, "-m", "hybridbo", "show", "t.db", "s", "--json"],
        cwd=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as writer:  # fmt: skip
        writer.stdout.close()  # before anything was written
        assert writer.stderr.read() == ""
        assert writer.wait() == 1


def test_version_and_help(folder):
    assert ok("--version") == f"hybridbo {hybridbo.__version__}\n"
    assert process("--version", cwd=folder).stdout == f"hybridbo {hybridbo.__version__}\n"
    assert ok() == ok("--help")
    for command in main.commands:
        assert "Usage: hybridbo " + command in ok(command, "--help")


def test_all_the_commands_of_this_release_are_there():
    study = {"demo", "init", "ask", "tell", "fail", "heartbeat", "log", "best", "show", "export"}
    assert set(main.commands) == study | {"check", "backup", "alter", "import", "propose"}


def test_asking_again_under_a_request_id_gives_the_same_trial(study):
    first = json.loads(ok("ask", "t.db", "s", "--request-id", "job 1"))
    assert json.loads(ok("ask", "t.db", "s", "--request-id", "job 1")) == first
    assert asked()["number"] == 1
