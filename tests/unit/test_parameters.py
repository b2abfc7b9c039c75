import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import categoricals, numerics

from hybridbo import parameters
from hybridbo.parameters import Categorical, Float, Int


def test_every_public_name_is_there():
    assert all(hasattr(parameters, name) for name in parameters.__all__)


@given(st.one_of(numerics, categoricals))
def test_parameters_are_values(parameter):
    assert parameter.problems() == []
    assert pickle.loads(pickle.dumps(parameter)) == parameter
    assert hash(dataclasses.replace(parameter)) == hash(parameter)
    assert dataclasses.replace(parameter, when={"other": ["x"]}) != parameter


@given(st.one_of(numerics, categoricals))
def test_the_middle_and_the_default_are_allowed(parameter):
    middle = parameter.middle()
    assert parameter.problem_of(middle) is None
    assert dataclasses.replace(parameter, default=middle).problems() == []


@pytest.mark.parametrize("parameter", [Float(0, 1), Int(0, 9), Categorical(["a"])])
def test_parameters_are_frozen(parameter):
    with pytest.raises(dataclasses.FrozenInstanceError):
        parameter.default = 0.5


@pytest.mark.parametrize("make", [lambda: Float(0, 1, True), lambda: Int(0, 9, True), lambda: Categorical(["a"], True)])
def test_options_are_given_by_keyword(make):
    with pytest.raises(TypeError):
        make()
