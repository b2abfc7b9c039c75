import pytest

from hybridbo.llm.reading import read_object
from hybridbo.llm.words import Unusable


def read(text):
    repairs = []
    return read_object(text, {"items", "note"}, ["items"], repairs), repairs


def test_the_object_is_found_in_what_surrounds_it():
    assert read('{"items": []}') == ({"items": []}, [])
    data, repairs = read('Set {x} to:\n```json\n{"note": 1}\n```')
    assert data == {"note": 1}
    assert repairs == ["text around the JSON object was left out"]


def test_complete_items_of_a_broken_reply_are_kept():
    data, [repair] = read('{"note": 1, "items": [{"a": 1}, {"a": 2}, {"a": 0.00')
    assert data == {"items": [{"a": 1}, {"a": 2}]}
    assert "its first 2 complete items" in repair


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"items": []}{"items": []}', "several"),
        ('{"items": []}{"other": 1}', "beside the first"),
        ('{"other": 1}{"items": []}', "beside the first"),
        ('{"items": []} "items": [', "beside the first"),
        ('{"items": []}\n{"a": 0.0', "beside the first"),  # and is cut off
        ('"items": [{"a": 1} "items": [{"a": 2}]', "more than once"),
        ('{"items": [], "items": []}', "a key twice"),
        ("{}", "no complete JSON object"),
    ],
)
def test_what_leaves_open_what_was_meant_is_refused(text, why):
    with pytest.raises(Unusable, match=why):
        read(text)
