"""What third parties test their parts with: contracts to subclass, a scripted language model, a server that fails.

::

    class TestMyBackend(BackendContract):
        @pytest.fixture
        def backend(self):
            return MyBackend()

Each name is loaded when it is first used; the contracts need pytest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridbo.testing.backend_contract import BackendContract
    from hybridbo.testing.chat_server import ChatServer
    from hybridbo.testing.scripted import ScriptedBackend
    from hybridbo.testing.store_contract import StoreContract

__all__ = ["BackendContract", "ChatServer", "ScriptedBackend", "StoreContract"]

_HOMES = {
    "BackendContract": "backend_contract",
    "ChatServer": "chat_server",
    "ScriptedBackend": "scripted",
    "StoreContract": "store_contract",
}

if not TYPE_CHECKING:  # a type checker that saw __getattr__ would believe in every misspelt name

    def __getattr__(name):  # noqa: ANN001, ANN202 - types are for the checker, which does not see this
        if name not in _HOMES:
            raise AttributeError(f"module 'hybridbo.testing' has no attribute {name!r}")
        value = getattr(import_module(f"hybridbo.testing.{_HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__():  # noqa: ANN202 - as above
        return sorted({*globals(), *__all__})
