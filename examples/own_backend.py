"""A language model of your own: any object with a `name` and a `complete` that turns a request into text.

This one knows a single answer. Yours would call a server, a model in this process, or a colleague.
"""

import json
import sys

from hybridbo import Categorical, Float, Optimizer
from hybridbo.ports import ChatReply, ChatRequest

SPACE = {
    "lr": Float(1e-5, 1e-1, log=True),
    "optimizer": Categorical(["adam", "sgd"]),
    "momentum": Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
}
ANSWER = {
    "configs": [
        {"lr": 0.003, "optimizer": "adam"},
        {"lr": 0.05, "optimizer": "sgd", "momentum": 0.9},
        {"lr": 0.5, "optimizer": "adam"},  # out of range: refused or moved, and counted
    ],
    "beliefs": {"lr": {"center": 0.003, "low": 0.001, "high": 0.01}, "optimizer": {"adam": 0.8, "sgd": 0.2}},
    "rationale": "Adam near 3e-3 is a safe start for small networks.",
}


class OneAnswer:
    """A ChatBackend."""

    name = "example:one-answer"  # goes into the store, so it holds no secret

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer; to report a problem, raise a BackendError of `hybridbo.errors`."""
        self.requests.append(request)  # request.system and request.user are the prompt, request.schema the JSON schema
        return ChatReply(
            text=json.dumps(ANSWER), model="one-answer-1", prompt_tokens=400, completion_tokens=90, cost=0.0
        )


def main() -> int:
    backend = OneAnswer()
    with Optimizer(SPACE, task="Tune a small network; metric: error", study="own", llm=backend, seed=0) as opt:
        for _ in range(5):
            trial = opt.ask()
            opt.tell(trial, abs(trial.params["lr"] - 0.004) * 100)
            print(f"trial {trial.number}  {trial.origin.source:<7}  {trial.params}  {trial.origin.reason}")
        usage = opt.llm_usage
        print(f"{usage.calls} call to {opt.llm}, {usage.prompt_tokens + usage.completion_tokens} tokens")
        proposed = [trial.params for trial in opt.trials if trial.origin.source == "llm"]
    asked_once = len(backend.requests) == usage.calls == 1
    return 0 if asked_once and all(config in proposed for config in ANSWER["configs"][:2]) else 1


if __name__ == "__main__":
    sys.exit(main())
