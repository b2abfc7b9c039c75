import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import choices, finite_floats, params, texts

from hybridbo.belief import Advice, ChoiceBelief, NumericBelief, Rejection

numeric = st.builds(NumericBelief, finite_floats, finite_floats, finite_floats)
chosen = st.builds(ChoiceBelief, st.lists(st.tuples(choices, st.floats(0, 1)), max_size=3).map(tuple))
rejections = st.builds(Rejection, texts, texts)
advice = st.builds(
    Advice,
    st.lists(params, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
    st.dictionaries(texts, numeric | chosen, max_size=2),
    texts,
    st.lists(texts, max_size=2).map(tuple),
    st.lists(rejections, max_size=2).map(tuple),
)


@given(st.one_of(numeric, chosen, rejections, advice))
def test_values_are_values(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert dataclasses.replace(value) == value
    assert hash(dataclasses.replace(value)) == hash(value)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)
