import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from hybridbo import DatasetFacts, Float, Optimizer, describe, errors
from hybridbo.dataset import in_task, merged_task, split_task

X = [[0.5, 1, "red"], [1.5, 2, "green"], [2.5, 3, "blue"], [None, 9, "red"]]
Y = ["no", "yes", "no", "no"]
FACTS = DatasetFacts(rows=4, features=3, kinds={"continuous": 1, "integer": 1, "categorical": 1}, classes=2)


def test_the_facts_of_a_table():
    facts = describe(X, Y)
    assert facts.to_dict() == {
        "rows": 4,
        "features": 3,
        "kinds": {"continuous": 1, "integer": 1, "categorical": 1},
        "missing": 0.083,
        "features_with_missing": 1,
        "most_categories": 3,
        "scale_orders": 1,
        "target": "classification",
        "classes": 2,
        "smallest_class": 1,
        "largest_class": 3,
        "balance": 0.81,
    }
    assert str(facts).startswith("rows: 4\nfeatures: 3\nkinds: 1 continuous, 1 integer, 1 categorical\n")


def test_facts_are_frozen_and_travel_as_json():
    facts = describe({"a": [1.0, 2.0], "b": [3, 4]}, [1.5, 2.5], names=True)
    assert DatasetFacts.from_json(facts.to_json()) == facts
    assert facts.names == ("a", "b")
    with pytest.raises(FrozenInstanceError):
        facts.rows = 3


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": 1}', '{"rows": 1, "features": 2, "x": 3}', "[" * 9999])
def test_what_is_no_facts_is_refused(text):
    with pytest.raises(errors.InvalidData, match="to_json"):
        DatasetFacts.from_json(text)


def test_names_of_columns_are_told_only_if_asked_for():
    table = {"blood_sugar": [1.0, 2.0], "b" * 99: [3.0, 4.0]}
    assert "blood" not in describe(table).to_json()
    assert describe(table, names=True).names == ("blood_sugar", "b" * 60)


def test_names_are_one_printable_line_and_always_fit():
    wild = ('"\\' * 40, "a\nb\x1b", *(f"{i:02}" + '"' * 90 for i in range(70)))
    facts = describe({name: [1.0, 2.0] for name in wild}, names=True)
    assert all(name.isprintable() for name in facts.names)
    assert split_task(in_task("Tune.", facts)) == ("Tune.", facts)


def test_facts_longer_than_any_of_ours_are_words_like_others():
    task = 'Dataset: {"rows": 3, "features": 2, "skew": "' + "x" * 20_000 + '"}'
    assert split_task(task) == (task, None)


# No value gets out

secrets = st.one_of(
    st.text("qxz", min_size=6, max_size=40),
    st.integers(10**6, 10**12),
    st.floats(1234.5, 9e9).map(lambda value: value + 0.123),
    st.none(),
)
columns = st.one_of(
    st.lists(secrets, min_size=8, max_size=8),
    st.lists(st.floats(1e5, 1e9), min_size=8, max_size=8),
    st.lists(st.text("qxz", min_size=6, max_size=6), min_size=8, max_size=8),
    st.lists(st.sampled_from(["secretone", "secrettwo", 98765.4]), min_size=8, max_size=8),
)


def spellings(value):
    if isinstance(value, str):
        return {value}
    return {repr(value), str(value), f"{value:g}", f"{value:.6g}", f"{value:.3f}", str(int(value))}


@settings(max_examples=200)
@given(st.lists(columns, min_size=1, max_size=5), columns, st.booleans(), st.sampled_from(["lists", "dict", "array"]))
def test_no_value_appears_in_the_facts(table, y, names, form):
    rows = [list(row) for row in zip(*table, strict=True)]
    given_x = {"lists": rows, "dict": {f"c{i}": column for i, column in enumerate(table)}}
    given_x["array"] = np.array(rows, dtype=object)
    facts = describe(given_x[form], y, names=names)
    told = facts.to_json() + str(facts) + repr(facts)
    for value in {value for column in (*table, y) for value in column if value is not None}:
        assert not any(spelling in told for spelling in spellings(value)), value


def test_the_check_above_sees_a_value():
    assert any(spelling in "mean: 98765.4" for spelling in spellings(98765.4))


# Tables of all kinds


def the_same(*tables):
    assert len({describe(table, [0, 1, 0]).to_json() for table in tables}) == 1


def test_arrays_lists_and_dicts_tell_the_same():
    rows = [[1.5, 2.0], [2.5, 3.0], [0.25, 5.0]]
    array = np.array(rows)
    the_same(rows, array, [tuple(row) for row in rows], array.astype("f4"), np.asfortranarray(array), list(array))
    the_same({"a": array[:, 0], "b": array[:, 1]}, {"a": list(array[:, 0]), "b": list(array[:, 1])}, array)
    assert describe([1.5, 2.5]) == describe(np.array([1.5, 2.5])) == describe([[1.5], [2.5]])


def test_a_pandas_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "number": [1.5, 2.5, np.nan, 4.0],
            "count": pd.array([1, 2, 3, None], dtype="Int64"),
            "date": pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01", None]),
            "kind": pd.Categorical(["a", "b", "c", "a"]),
            "flag": [True, False, True, True],
            "word": ["a", None, "b", "c"],
        }
    )
    frame = pd.concat([frame, frame[["flag"]]], axis=1)  # a name twice
    facts = describe(frame, pd.Series(["no", "yes", "no", "no"], name="target"))
    assert facts.kinds == {"continuous": 1, "integer": 1, "date": 1, "categorical": 2, "binary": 2}
    assert (facts.features_with_missing, facts.missing, facts.classes) == (4, 0.14, 2)
    numbers = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)))
    assert describe(numbers, numbers[0]) == describe(numbers.to_numpy(), numbers[[0]])


class Polars:
    """What of a polars DataFrame is used, where polars is not installed."""

    class Series:
        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def drop_nulls(self):
            return Polars.Series([value for value in self.values if value is not None])

        def to_numpy(self):
            return np.array(self.values)

    def __init__(self, columns):
        self.data = columns
        self.columns = list(columns)

    def get_columns(self):
        return [Polars.Series(values) for values in self.data.values()]


def test_a_polars_frame():
    columns = {"a": [1.5, 2.5, None, 3.5], "b": ["u", "v", "w", "u"]}
    try:
        import polars as pl
    except ImportError:
        frame, y = Polars(columns), Polars.Series([0, 1, 1, 0])
    else:
        frame, y = pl.DataFrame(columns), pl.Series([0, 1, 1, 0])
    assert describe(frame, y, names=True) == describe(columns, [0, 1, 1, 0], names=True)


def test_a_sparse_matrix():
    matrix = sparse.random(60, 400, density=0.05, format="csr", random_state=0)
    facts = describe(matrix, sparse.csr_matrix([[0.0], [1.0]] * 30))
    assert facts.to_dict() == {
        "rows": 60,
        "features": 400,
        "kinds": {"continuous": 400},
        "density": 0.05,
        "target": "classification",
        "classes": 2,
        "smallest_class": 30,
        "largest_class": 30,
        "balance": 1.0,
    }
    assert describe(matrix.tocoo()).to_json() == describe(sparse.coo_array(matrix)).to_json()


def test_images_are_rows_of_a_shape():
    images = np.random.default_rng(0).integers(0, 255, (70, 8, 6, 3), dtype=np.uint8)
    facts = describe(images, np.arange(70) % 7)
    assert (facts.rows, facts.features, facts.row_shape, facts.kinds) == (70, 144, (8, 6, 3), {"integer": 144})


def test_texts_are_told_from_categories():
    texts = [f"The {i}th of many sentences that are all of them different." for i in range(30)]
    assert describe({"a": texts, "b": ["short", "words", "three"] * 10}).kinds == {"text": 1, "categorical": 1}


def test_columns_without_a_value_and_infinities_are_missing():
    facts = describe({"a": [None, None], "b": [np.inf, 1.0], "c": [3, 3]}, [1.5, np.nan])
    assert facts.kinds == {"empty": 1, "constant": 2}
    assert (facts.missing, facts.features_with_missing, facts.target_missing) == (0.5, 2, 0.5)


def test_extreme_numbers_do_no_harm():
    wild = [[1e308, 5e-324, 10**400], [-1e308, 0.0, 3], [1.5, 1e300, -(10**400)]]
    assert describe(wild, [1e308, -1e308, 5e-324]).rows == 3
    assert describe(np.array([[1e308, 1.0], [-1e308, 2.0], [0.0, 7.5]] * 30), [1e308, -1e308, 1e-5] * 30).rows == 90


@pytest.mark.parametrize(
    "table", [None, 3, "text", object(), [], [[]], [[1, 2], [3]], {"a": [1], "b": [1, 2]}, (x for x in [1])], ids=repr
)
def test_what_is_no_table_is_refused(table):
    with pytest.raises(errors.InvalidData, match="Give a table"):
        describe(table)


def test_lengths_must_agree_and_a_target_be_known():
    with pytest.raises(errors.InvalidData, match="X has 4 rows and y has 3"):
        describe(X, [1, 2, 3])
    with pytest.raises(errors.InvalidSettings, match="'classes' is unknown"):
        describe(X, Y, target="classes")


def test_the_data_are_left_as_they_are():
    table = np.array([[1.0, np.nan], [np.inf, 2.0]])
    before = table.copy()
    describe(table, np.array([1.0, np.nan]))
    np.testing.assert_array_equal(table, before)


# In the task of a study


def test_facts_are_the_last_paragraph_of_a_task():
    task = in_task("Tune it.\n\nDataset: my own words", FACTS)
    assert split_task(task) == ("Tune it.\n\nDataset: my own words", FACTS)
    assert split_task(in_task("", FACTS)) == ("", FACTS)
    assert in_task("Tune it.", None) == "Tune it."


@pytest.mark.parametrize("task", ["", "Tune it.", "a\n\nDataset: {}", "Dataset: {x}", 'Dataset: {"rows": 3}'])
def test_a_task_without_facts_is_all_words(task):
    assert split_task(task) == (task, None)


def test_a_resumed_study_keeps_what_is_not_given_anew():
    other = DatasetFacts(rows=9, features=1)
    stored = in_task("Old.", FACTS)
    assert split_task(merged_task("New.", stored)) == ("New.", FACTS)
    assert split_task(merged_task(in_task("", other), stored)) == ("Old.", other)
    assert merged_task("", stored) == stored
    assert merged_task("New.", "Old.") == "New."


def test_an_optimizer_takes_facts_and_keeps_them(tmp_path):
    space = {"x": Float(0.0, 1.0)}
    with Optimizer(space, task="Tune.", data=FACTS, store=tmp_path / "s.db", llm=None) as opt:
        assert opt.task == in_task("Tune.", FACTS)
    with Optimizer(space, task="Tune.", store=tmp_path / "s.db", llm=None) as opt:
        assert json.loads(opt.task.split("Dataset: ")[1])["rows"] == 4
    with pytest.raises(errors.InvalidData, match="describe"):
        Optimizer(space, data={"rows": 3}, llm=None)
