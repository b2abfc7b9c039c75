"""Stands for the package xllamacpp: a library that does what the model file and the messages tell it.

A model file holds ``GGUF`` and a word: ``fails``, ``dies``, ``waits PATH`` (until somebody writes into that pipe).
"""

import textwrap

SOURCE = textwrap.dedent(
    """
    import json, os, signal, sys, threading
    from types import SimpleNamespace


    class CommonParams(SimpleNamespace):
        def __init__(self):
            super().__init__(
                model=SimpleNamespace(path=""), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
            )


    class Server:
        def __init__(self, params):
            self.params = params
            words = open(params.model.path, errors="replace").read().split()
            print("loading a model", flush=True)
            self.hosts = params.hostnames
            self.private = oct(os.stat(os.path.dirname(self.hosts[0])).st_mode & 0o777)
            if "fails" in words:
                raise RuntimeError("unknown architecture")
            if "dies" in words:
                sys.stderr.write("out of memory")
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            if "waits" in words:
                open(words[-1]).read()

        def handle_chat_completions(self, request):
            print("completing", flush=True)
            user = request["messages"][-1]["content"]
            if user == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if user == "crash once":
                marker = self.params.model.path + ".crashed"
                if not os.path.exists(marker):
                    open(marker, "w").close()
                    os.kill(os.getpid(), signal.SIGKILL)
            if user == "hang":
                threading.Event().wait()
            if user == "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            if user == "raise":
                raise ValueError("no such sampler")
            if user == "long":
                return {"error": {"code": 400, "message": "request exceeds the available context size"}}
            if user == "overloaded":
                return {"error": {"code": 503, "message": "the slot is busy"}}
            if user == "nothing":
                return {"choices": [{"message": {"content": ""}}]}
            if user == "no schema" and "response_format" in request:
                raise ValueError("JSON schema error at #")
            said = {
                "request": request,
                "environment": sorted(os.environ),
                "path": sys.path,
                "params": {k: v for k, v in vars(self.params).items() if isinstance(v, (int, bool, str))},
                "threads": self.params.cpuparams.n_threads,
                "hosts": self.hosts,
                "private": self.private,
                "left": [os.path.exists(os.path.dirname(host)) for host in self.hosts],
                "group": os.getpgid(0),
            }
            return {
                "model": "/home/somebody/secret/place.gguf",
                "choices": [{"message": {"content": json.dumps(said)}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 5},
            }
    """
)
