from hybridbo.storage import open_store
from hybridbo.testing.store_contract import StoreContract


class TestMemory(StoreContract):
    def make_store(self, folder):
        return open_store(":memory:")


class TestSqlite(StoreContract):
    persistent = True

    def make_store(self, folder):
        return open_store(folder / "search.db")


class TestSqliteNormal(StoreContract):
    """The other setting of ``synchronous``, and a path given as text."""

    persistent = True

    def make_store(self, folder):
        return open_store(str(folder / "search.db"), synchronous="NORMAL")
