"""Trial stores: where a study is kept.

:func:`open_store` is the way in; :func:`check_store` and :func:`backup_store` care for a file.
:mod:`~hybridbo.storage.memory` is the reference; :mod:`~hybridbo.storage.sqlite` keeps a study in one file that
processes share. A store of your own is any object that passes ``hybridbo.testing.store_contract.StoreContract``.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Literal

from hybridbo.errors import InvalidSettings, StudyNotFound
from hybridbo.ports import TrialStore

if __name__ != "hybridbo.storage":
    # a second copy of every class would break isinstance silently
    raise ImportError("import hybridbo.storage, not storage")

if TYPE_CHECKING:
    from hybridbo.storage.backup import backup_store
    from hybridbo.storage.check import check_store

__all__ = ["backup_store", "check_store", "open_store"]

_LATE = {"backup_store": "hybridbo.storage.backup", "check_store": "hybridbo.storage.check"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open_store(
    where: str | os.PathLike[str] | TrialStore,
    *,
    must_exist: bool = False,
    timeout_s: float = 30.0,
    synchronous: Literal["FULL", "NORMAL"] = "FULL",
) -> TrialStore:
    """Open a trial store, and create it if it is not there.

    Args:
        where: A path; ``":memory:"`` for a new store that ends with the process; or a TrialStore, returned as it is.
        must_exist: Create no file: a path without one is an error.
        timeout_s: How long to wait for another process that writes, in seconds.
        synchronous: ``"FULL"`` keeps every told result through a power cut; ``"NORMAL"`` is faster and may lose the
            last ones then. Either keeps them all when a process is killed.

    Raises:
        InvalidSettings: ``where`` is none of these.
        StudyNotFound: There is no such file, and ``must_exist``.
        StoreError: The file cannot be opened; its kinds say why.
    """
    if where == ":memory:":
        from hybridbo.storage.memory import MemoryStore

        return MemoryStore()
    if isinstance(where, str | bytes | os.PathLike):
        if must_exist and not os.path.exists(where):  # noqa: PTH110  # bytes have no Path
            raise StudyNotFound(
                f"there is no store {os.fsdecode(where)!r}.", "Check the path, or create a study there."
            )
        from hybridbo.storage.sqlite import SqliteStore  # late: sqlite-utils takes a moment to import

        return SqliteStore(os.fsdecode(where), timeout_s=timeout_s, synchronous=synchronous)
    if isinstance(where, TrialStore):
        return where
    raise InvalidSettings(f"store={where!r} is no trial store.", 'Give a path, ":memory:" or a TrialStore.')
