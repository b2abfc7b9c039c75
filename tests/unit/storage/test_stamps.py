"""The stamp of the last commit; what is believed of it is in test_at_rest.py."""

import os

import pytest

from hybridbo.storage import stamps


@pytest.fixture
def lock(path):
    path.touch()
    lock = path.with_name(f"{path.name}{stamps.SUFFIX}")
    lock.touch()
    os.utime(lock, (0, 0))
    os.utime(path, (5, 5))
    return lock


def test_stamp_names_its_file_and_tells_the_time_of_the_last_commit(lock, path):
    assert not stamps.is_merged(path)  # it names no file
    stamps.Stamp(path).renew()
    assert lock.read_text() == f"{path.stat().st_ino}\n"
    assert not stamps.is_merged(path)  # the commit came after the change
    os.utime(lock, (0, 0))
    assert stamps.is_merged(path)


def test_name_of_a_file_that_was_replaced_is_corrected(lock, path):
    lock.write_text("12345678901234567890\n")
    stamps.Stamp(path).name()
    assert lock.read_text() == f"{path.stat().st_ino}\n"


def test_no_side_file_is_made(lock, path):
    lock.unlink()
    stamp = stamps.Stamp(path)
    stamp.name()
    stamp.renew()
    assert list(path.parent.iterdir()) == [path]
    assert not stamps.is_merged(path)


def test_time_is_not_set_anew_by_each_commit(lock, path):
    stamp = stamps.Stamp(path)
    stamp.renew()
    first = lock.stat().st_mtime_ns
    os.utime(lock, (0, 0))
    stamp.renew()
    assert first > 0 == lock.stat().st_mtime_ns


def test_change_that_may_be_the_last_commits_own_is_no_merge(lock, path):
    stamps.Stamp(path).name()
    os.utime(lock, (4.5, 4.5))
    assert not stamps.is_merged(path)
    os.utime(lock, (3.5, 3.5))
    assert stamps.is_merged(path)
