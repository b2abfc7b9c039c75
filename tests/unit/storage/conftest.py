import sqlite3

import pytest

from hybridbo.ports import StudyRecord
from hybridbo.storage import open_store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.db"


@pytest.fixture
def store(path):
    store = open_store(path)
    store.create_study(StudyRecord("s", "{}", "{}"))
    yield store
    store.close()


@pytest.fixture
def raw(store, path):
    """A connection of one's own to the file of ``store``."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA foreign_keys = ON")
    yield conn
    conn.close()
