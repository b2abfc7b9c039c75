import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from hybridbo import Categorical, Float, Int, Space
from hybridbo.errors import InvalidSpace
from hybridbo.integrations.estimator_space import EstimatorSpace


def converted(value):
    return EstimatorSpace({"p": value, "other": Int(1, 2)}).space["p"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Float(0.0, 1.0), Float(0.0, 1.0)),
        (["rbf", "linear"], Categorical(["rbf", "linear"])),
        ([True, False], Categorical([True, False])),
        ([None, "l2"], Categorical([None, "l2"])),
        ([10, 0.1, 1], Categorical([0.1, 1, 10], ordered=True)),
        (np.logspace(-1, 1, 3), Categorical([0.1, 1.0, 10.0], ordered=True)),
        ([2, 3], Categorical([2, 3], ordered=True)),
        (range(2, 11, 2), Int(2, 10, step=2)),
        (np.arange(5), Int(0, 4)),
        ([3, 1, 2, 2], Int(1, 3)),
        (stats.uniform(2, 3), Float(2.0, 5.0)),
        (stats.uniform(loc=-1, scale=2), Float(-1.0, 1.0)),
        (stats.loguniform(1e-4, 1e-1), Float(1e-4, 1e-1, log=True)),
        (stats.reciprocal(1e-4, 1e-1, scale=10), Float(1e-3, 1.0, log=True)),
        (stats.randint(1, 11), Int(1, 10)),
        (stats.randint(1, 11, loc=5), Int(6, 15)),
    ],
)
def test_what_has_a_counterpart_is_taken(given, expected):
    parameter = converted(given)
    assert type(parameter) is type(expected)
    assert Space({"p": parameter}) == Space({"p": expected})


def test_a_distribution_draws_only_from_the_range_that_it_became():
    drawn = stats.randint(1, 4).rvs(size=200, random_state=0)
    assert {int(x) for x in drawn} == {1, 2, 3}
    assert converted(stats.randint(1, 4)) == Int(1, 3)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (stats.norm(), "norm has no exact counterpart; give Float"),
        (stats.expon(scale=2), "expon"),
        (stats.loguniform(1e-4, 1e-1, loc=1), "loguniform with loc"),
        ("rbf", "neither a list"),
        (3, "neither a list"),
        ([], "empty"),
    ],
)
def test_what_has_none_is_refused_with_its_name(given, match):
    with pytest.raises(InvalidSpace, match=f"'p'.*{match}"):
        converted(given)


def test_every_parameter_at_fault_is_named():
    with pytest.raises(InvalidSpace, match=r"'a'.*'b'"):
        EstimatorSpace({"a": [], "b": stats.norm(), "c": [1, 2]})


@pytest.mark.parametrize(
    ("space", "match"),
    [
        ([{"C": [1, 2]}], "join|Join"),
        (3, "no dict"),
        ({}, "empty"),
        ({"C": [1]}, "single value"),
    ],
)
def test_what_is_no_space_is_refused(space, match):
    with pytest.raises(InvalidSpace, match=match):
        EstimatorSpace(space)


def test_a_single_value_is_a_constant():
    space = EstimatorSpace({"kernel": ["rbf"], "C": Float(0.1, 1.0)})
    assert list(space.space) == ["C"]
    assert space.decode({"C": 0.5}) == {"C": 0.5, "kernel": "rbf"}


def identity(x):
    return x


def test_other_choices_go_by_a_name_and_come_back_as_they_were():
    scaler, sizes = StandardScaler(), (100, 50)
    space = EstimatorSpace({"scale": [scaler, MinMaxScaler(), "passthrough", None], "sizes": [(50,), sizes, sizes]})
    assert space.space["scale"].choices == ("StandardScaler()", "MinMaxScaler()", "passthrough", "None")
    assert space.space["sizes"].choices == ("(50,)", "(100, 50)")
    assert space.decode({"scale": "StandardScaler()", "sizes": "(100, 50)"}) == {"scale": scaler, "sizes": sizes}
    assert space.decode({"scale": "None"})["scale"] is None


def test_names_of_choices_are_different_and_the_same_in_every_process():
    choices = [identity, math.sqrt, object(), object(), 1.5, float("nan"), "1.5"]
    labels = EstimatorSpace({"p": choices}).space["p"].choices
    assert labels == ("identity", "sqrt", "<object object #2", "<object object #3", "1.5", "nan", "1.5 #6")


def test_inactive_parameters_are_left_to_the_estimator():
    space = EstimatorSpace({"kernel": ["linear", "rbf"], "gamma": Float(0.1, 1.0, when={"kernel": ["rbf"]})})
    assert space.decode({"kernel": "linear"}) == {"kernel": "linear"}


def test_parameters_that_the_estimator_lacks_are_named_with_what_comes_near():
    space = EstimatorSpace({"C": [1, 2], "gama": Float(0.1, 1.0)})
    with pytest.raises(InvalidSpace, match=r"SVC has no parameter 'gama'.*Perhaps 'gamma'"):
        space.check(SVC())
    EstimatorSpace({"C": [1, 2], "gamma": Float(0.1, 1.0)}).check(SVC())


def test_parameters_of_an_estimator_that_the_space_chooses_are_not_held_against_the_default():
    pipeline = Pipeline([("reduce", "passthrough"), ("svc", SVC())])
    EstimatorSpace({"reduce": [PCA(), "passthrough"], "reduce__n_components": [1, 2], "svc__C": [1, 2]}).check(pipeline)
    with pytest.raises(InvalidSpace, match="'svm__C'"):
        EstimatorSpace({"svm__C": [1, 2]}).check(pipeline)


def test_importing_the_package_of_integrations_loads_no_tool(tmp_path):
    code = "import sys, hybridbo.integrations; print(sorted({'sklearn', 'joblib', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
