"""A cache of evaluations and tables of the tests' own."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def benchmark_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDBO_BENCH_CACHE", str(tmp_path_factory.mktemp("bench-cache")))
        yield
