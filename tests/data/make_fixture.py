"""Write the real store files of the present schema, for the tests of later ones: python tests/data/make_fixture.py.

``store_schema_N.db`` has one of everything, of studies that nobody could run; ``search_schema_N.db`` is a search that
can be gone on with.

A file that is there already belongs to a schema that may be out in the world, and is never written again.
"""

import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from hybridbo import Float, Int, Optimizer
from hybridbo.ports import ChatFailure, ChatReply, ChatRequest, Event, LLMCall, StudyRecord
from hybridbo.storage import migrations, open_store
from hybridbo.trial import Origin, Outcome, Proposal, TrialState

AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
REQUEST = ChatRequest("seeds", "Tune ☃", {"lr": {"type": "float", "low": 1e-05, "high": 0.1, "log": True}}, "s", "u")
OUTCOMES = (
    Outcome(TrialState.COMPLETE, {"value": 0.1 + 0.2}, 0.1 + 0.2),
    Outcome(TrialState.COMPLETE, {"value": -0.0, "memory_gb": 5e-324}, -0.0),
    Outcome(TrialState.FAILED, error="CUDA out of memory ☃"),
    Outcome(TrialState.PRUNED, {"value": 2.5}, 2.5),
    Outcome(TrialState.PRUNED),
)


def fill(store):
    """A study with one of everything, and an empty one."""
    store.create_study(StudyRecord("mlp", '{"lr": {}}', "{}", "Tune ☃", "openai:m", 2**70, '{"seed_trials": 5}', AT))
    store.create_study(StudyRecord("empty", "{}", "{}", created_at=AT))
    params = {"lr": 1e-05, "n": 3, "big": 10**30, "on": True, "off": None, "name": 'ü"\0'}
    for n, outcome in enumerate((*OUTCOMES, None)):
        origin = Origin("gp" if n else "default", f"reason {n}", 0.1 * n if n else None, 1e-300 if n else None)
        proposal = Proposal(params | {"n": n}, origin)
        store.create_trial("mlp", proposal, key=f'{{"n":{n}}}', owner="host/1/2", seen=n)
        if outcome:
            store.finish_trial("mlp", n, outcome)
    store.enqueue("mlp", params | {"n": 99}, key='{"n":99}')
    reply = ChatReply('{"points": []}', "m-2026", 100, 20, 0.001, 1.25, "retried", recorded=True)
    store.record_call("mlp", LLMCall(REQUEST, reply, 1, AT))
    store.record_call("mlp", LLMCall(REQUEST, ChatFailure("BackendTimeout", "no reply", "retry", "m", 60.0), 2, AT))
    store.record_event("mlp", Event("llm_failed", "no reply", 2, AT))
    fill_leases(store)
    fill_alterations(store)
    fill_logs(store)


def fill_leases(store):
    """A study whose trials are with workers, lost and not: what schema 2 is about."""
    store.create_study(StudyRecord("leases", "{}", "{}", created_at=AT))
    for n, lease_s in enumerate((60, 1e-9, 1e-9, None)):
        proposal = Proposal({"n": n}, Origin("sobol", "reason"))
        store.create_trial("leases", proposal, key=f'{{"n":{n}}}', owner="host/1/2", seen=n, lease_s=lease_s)
    for n in (1, 2):
        store.expire_lease("leases", n)
    store.take_over("leases", 2, owner="host/3/4", previous="host/1/2", attempt=0, lost=True)
    store.bind_request("leases", "job ☃", 2)
    store.finish_trial("leases", 3, OUTCOMES[0])


def fill_alterations(store):
    """A study whose space was altered, of whose trials one was corrected by a person: what schema 3 is about."""
    store.create_study(StudyRecord("altered", '{"x": 1}', "{}", created_at=AT))
    for n in range(3):
        proposal = Proposal({"x": n}, Origin("sobol", "reason"))
        store.create_trial("altered", proposal, key=f'{{"x":{n}}}', owner="host/1/2", seen=n)
        store.finish_trial("altered", n, OUTCOMES[n])
    store.enqueue("altered", {"x": 7}, key='{"x":7}')

    def complete(params):
        return params | {"y": 0.1}, f'{{"x":{params["x"]},"y":0.1}}'

    store.alter_study("altered", '{"x": 1, "y": 2}', previous='{"x": 1}', complete=complete)


def fill_logs(store):
    """A study whose trials have training logs: what schema 4 is about."""
    store.create_study(StudyRecord("logs", "{}", "{}", created_at=AT))
    for n in range(3):
        proposal = Proposal({"n": n}, Origin("sobol", "reason"))
        store.create_trial("logs", proposal, key=f'{{"n":{n}}}', owner="host/1/2", seen=n)
    store.append_log("logs", 0, {"train_loss": [(0, 0.1 + 0.2), (1, 5e-324)], "val ☃": [(0.5, -0.0)]})
    store.append_log("logs", 0, {"train_loss": [(2, float("nan")), (3, float("-inf"))]})
    store.append_log("logs", 1, {"loss": [(0, 9.0)]})
    store.take_over("logs", 1, owner="host/3/4", previous="host/1/2", attempt=0)
    store.append_log("logs", 1, {"loss": [(0, 1.0)]})
    store.finish_trial("logs", 0, OUTCOMES[0])


def correct(path):
    """A person's change, by another program."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE trials SET error = 'no memory' WHERE study = 'altered' AND number = 2")


def search(path):
    """A search with results of every kind, a training log, an altered space, a trial that runs and one that waits."""
    space = {"lr": Float(1e-5, 0.1, log=True), "layers": Int(1, 4)}
    with Optimizer(space, study="mlp", store=path, llm=None, seed=7, settings={"seed_trials": 3}) as opt:
        for n in range(5):
            trial = opt.ask(detached=True)  # whose owner names no machine
            opt.log(trial.number, loss=1.0 / (n + 1))
            if n == 2:
                opt.fail(trial, "CUDA out of memory \u2603")
            else:
                opt.tell(trial, (trial.params["layers"] - 2) ** 2 + trial.params["lr"])
        opt.alter(space | {"dropout": Float(0, 0.6, default=0.0)})
        opt.enqueue({"lr": 0.01, "layers": 2, "dropout": 0.5})
        opt.enqueue({"lr": 0.02, "layers": 3, "dropout": 0.1})
        opt.ask(detached=True)


def main():
    number = migrations.MIGRATIONS[-1].number
    for name, write in (("store", fill_store), ("search", search)):
        path = Path(__file__).with_name(f"{name}_schema_{number}.db")
        if path.exists():
            print(f"{path} is there already; a file of a released schema is never written again.", file=sys.stderr)
        else:
            write(path)  # and closed: the .db is all there is


def fill_store(path):
    """What :func:`fill` and :func:`correct` make."""
    store = open_store(path)
    fill(store)
    store.close()
    correct(path)


if __name__ == "__main__":
    main()
