from hybridbo.once import Once
from hybridbo.ports import Event, StudyRecord
from hybridbo.storage import open_store


def test_news_is_what_neither_this_process_nor_the_store_has_told():
    store, once = open_store(":memory:"), Once()
    for study in ("s", "t"):
        store.create_study(StudyRecord(study, "{}", "{}"))
    assert not once.is_known("s", "fallback", "why")
    assert once.is_news(store, "s", "fallback", "why")
    assert not once.is_news(store, "s", "fallback", "why")
    assert once.is_known("s", "fallback", "why")
    store.record_event("s", Event("fallback", "why"))
    assert not Once().is_news(store, "s", "fallback", "why")
    assert Once().is_news(store, "s", "fallback", "why else")
    assert Once().is_news(store, "t", "fallback", "why")
