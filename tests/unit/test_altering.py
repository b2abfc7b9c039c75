"""A study that gets another space: what may change, and what becomes of the trials so far."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridbo.altering import Completion
from hybridbo.errors import InvalidSpace, StudyMismatch
from hybridbo.optimizer import Optimizer
from hybridbo.space import Categorical, Float, Int, Space

SPACE = {
    "lr": Float(1e-4, 1e-1, log=True),
    "width": Int(16, 256, log=True),
    "optimizer": Categorical(["adam", "sgd"]),
    "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd"]}),
    "size": Categorical(["s", "m", "l"], ordered=True),
}
LR = {"lr": Float(1e-6, 1.0, log=True)}
DROPOUT = {"dropout": Float(0.0, 0.6, default=0.1)}
POINTS = (
    {"lr": 1e-3, "width": 64, "optimizer": "adam", "size": "m"},
    {"lr": 1e-2, "width": 32, "optimizer": "sgd", "momentum": 0.5, "size": "s"},
)


def loss(params):
    return abs(params["lr"] - 0.3) + params["width"] / 1000 + params.get("dropout", 0.1)


def opened(path, space=None, **options):
    return Optimizer(SPACE if space is None else space, study="s", store=path, llm=None, seed=0, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.db"


@pytest.fixture
def opt(path):
    """A study with two told trials, one running and one queued."""
    with opened(path) as opt:
        for point in POINTS:
            opt.enqueue(point)
            trial = opt.ask()
            opt.tell(trial, loss(trial.params))
        opt.ask()
        opt.enqueue({**POINTS[0], "lr": 0.05})
        yield opt


@pytest.mark.parametrize(
    "change",
    [
        LR,
        {"width": Int(8, 1024, log=True)},
        {"width": Int(16, 256)},
        {"optimizer": Categorical(["adam", "sgd", "lion"])},
        {
            "optimizer": Categorical(["lion", "adam", "sgd"]),
            "momentum": Float(0.0, 0.9, when={"optimizer": ["sgd", "lion"]}),
        },
        {"size": Categorical(["xs", "s", "m", "l", "xl"], ordered=True)},
        DROPOUT,
        {"nesterov": Categorical([False, True], default=False, when={"optimizer": ["sgd"]})},
        {"clip": Categorical([None, 1.0])},
        {"momentum": Float(0.0, 0.99, default=0.9, when={"optimizer": ["sgd"]})},
        {**LR, **DROPOUT, "optimizer": Categorical(["adam", "sgd", "lion"])},
    ],
    ids="+".join,
)
def test_what_may_change(opt, path, change):
    new, before = Space({**SPACE, **change}), opt.trials
    opt.alter(new)
    assert opt.space == new
    assert opt.trials == before
    [made] = opt.alterations
    assert (Space.from_json(made.old_space), Space.from_json(made.new_space)) == (Space(SPACE), new)
    assert made.trial_number == 3
    queued = opt.ask()
    assert (queued.origin.source, queued.params["lr"]) == ("user", 0.05)
    assert new.validate(queued.params) == queued.params
    for _ in range(8):
        trial = opt.ask()
        assert new.validate(trial.params) == trial.params
        opt.tell(trial, loss(trial.params))
    assert any(trial.origin.source == "gp" for trial in opt.trials)
    assert [event.kind for event in opt.events] == ["space_altered"]
    with opened(path, new) as again, Optimizer.load(path, "s", llm=None) as loaded:
        assert again.space == loaded.space == new
        assert again.trials == opt.trials


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lr": Float(5e-3, 1e-1, log=True)}, r"'lr'=0\.001 is out of range"),
        ({"width": Int(16, 63)}, r"'width'=64 is out of range"),
        ({"width": Int(17, 256, step=2)}, "'width'=64 lies between two steps"),
        ({"optimizer": Categorical(["sgd", "lion"])}, "'optimizer'='adam' is none of"),
        ({"width": Float(16, 256)}, "parameter 'width' was int, now float"),
        ({"size": Float(0, 1)}, "parameter 'size' was categorical, now float"),
        ({"lr": None}, "parameter 'lr' is missing"),
        ({"new": Float(0, 1)}, "parameter 'new' is new and has no default"),
        ({"size": Categorical(["l", "m", "s"], ordered=True)}, "parameter 'size' is ordered"),
        ({"momentum": Float(0.0, 0.9)}, "'momentum' is missing"),
        (
            {"momentum": Float(0.0, 0.9, when={"optimizer": ["adam"]})},
            "'momentum' is missing|'momentum' would be inactive",
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_what_may_not_change_changes_nothing(opt, path, change, why):
    new = {name: parameter for name, parameter in {**SPACE, **change}.items() if parameter is not None}
    with pytest.raises(InvalidSpace, match=rf"cannot be altered so: .*{why}.*(new study|start a new)"):
        opt.alter(new)
    assert opt.space == Space(SPACE)
    assert (list(opt.alterations), list(opt.events)) == ([], [])
    opened(path).close()
    assert opt.ask().origin.source == "user"


def test_range_may_be_narrowed_where_no_trial_was(opt):
    opt.alter({**SPACE, "width": Int(32, 128)})
    assert opt.ask().params["width"] == 64
    assert all(32 <= opt.ask().params["width"] <= 128 for _ in range(5))


def test_same_space_is_no_alteration(opt):
    opt.alter(dict(reversed(SPACE.items())))
    assert list(opt.alterations) == []


def test_old_trials_count_as_evaluated_with_the_default_of_when_it_was_added(opt, path):
    opt.alter({**SPACE, **DROPOUT})
    opt.alter({**SPACE, "dropout": Float(0.0, 0.9, default=0.5)})
    with Optimizer.load(path, "s", llm=None) as loaded:
        for asker in (opt._asker, loaded._asker):
            completed = asker.completion.trials(loaded.trials)
            assert [trial.params["dropout"] for trial in completed] == [0.1, 0.1, 0.1]
            assert [trial.params for trial in loaded.trials[:2]] == list(POINTS)
    assert [(a.trial_number, a.new_space) for a in opt.alterations][1] == (3, opt.space.to_json())


def test_what_was_evaluated_is_not_proposed_again(opt):
    opt.alter({**SPACE, **DROPOUT})
    assert not opt.enqueue({**POINTS[0], "dropout": 0.1})
    assert not opt.enqueue({**POINTS[0], "lr": 0.05, "dropout": 0.1})
    assert opt.enqueue({**POINTS[0], "dropout": 0.2})


def test_small_space_ends_when_the_new_part_is_used_up(path):
    with opened(path, {"x": Int(1, 3)}) as opt:
        opt.run(lambda params: params["x"], n_trials=3, progress=False)
        opt.alter({"x": Int(1, 3), "y": Categorical(["a", "b"], default="b")})
        opt.run(lambda params: params["x"], n_trials=9, progress=False)
        assert len(opt.trials) == 6
        assert sorted(trial.params["x"] for trial in opt.trials[3:]) == [1, 2, 3]
        assert {trial.params["y"] for trial in opt.trials[3:]} == {"a"}


def test_surrogate_learns_from_the_old_trials(path):
    """The optimum is where the old trials say it is; of the new parameter only the default is known."""
    with opened(path, {"x": Float(0, 1)}) as opt:
        for i in range(12):
            opt.enqueue({"x": i / 11})
            trial = opt.ask()
            opt.tell(trial, (trial.params["x"] - 0.6) ** 2)
        opt.alter({"x": Float(0, 1), "y": Float(0, 1, default=0.5)})
        default = opt.ask()  # the middle of both
        opt.tell(default, 0.01)
        trial = opt.ask()
        assert trial.origin.source == "gp"
        assert abs(trial.params["x"] - 0.6) < 0.3
        assert trial.origin.predicted_mean < 0.1


def test_other_process_may_tell_but_not_ask(opt, path):
    with opened(path) as other:
        mine = other.ask()
        opt.alter({**SPACE, **DROPOUT})
        for call in (other.ask, lambda: other.enqueue(POINTS[0])):
            with pytest.raises(StudyMismatch, match=r"parameter 'dropout' is new\..*Optimizer\.load"):
                call()
        assert other.tell(mine, 0.5).value == 0.5
        with pytest.raises(StudyMismatch, match="altered by another process"):
            other.alter({**SPACE, **LR})
    with Optimizer.load(path, "s", llm=None) as again:
        assert "dropout" in again.ask().params


def test_widened_space_in_a_script_is_told_how_to_alter_it(opt, path):
    with pytest.raises(StudyMismatch, match=r"'lr' was .* now .*opt\.alter\(space\)"):
        opened(path, {**SPACE, **LR})


def test_trial_that_is_offered_again_has_the_new_parameter(opt):
    opt.release(opt.trials[2])
    opt.alter({**SPACE, **DROPOUT})
    trial = opt.ask()
    assert (trial.number, trial.params["dropout"]) == (2, 0.1)
    assert "dropout" not in opt.trials[2].params


def test_altered_search_is_the_same_in_another_process(tmp_path):
    with opened(tmp_path / "a.db") as opt:
        opt.run(loss, n_trials=6, progress=False)
        opt.alter({**SPACE, **DROPOUT, **LR})
        opt.run(loss, n_trials=3, progress=False)
        at_once = [trial.params for trial in opt.trials]
    with opened(tmp_path / "b.db") as opt:
        opt.run(loss, n_trials=6, progress=False)
        opt.alter({**SPACE, **DROPOUT, **LR})
    with Optimizer.load(tmp_path / "b.db", "s", llm=None) as opt:
        opt.run(loss, n_trials=9, progress=False)
        assert [trial.params for trial in opt.trials] == at_once
    assert len(at_once) == 9


@given(st.floats(1e-4, 1e-1), st.integers(16, 256), st.sampled_from(["adam", "sgd"]))
def test_completion_adds_and_changes_nothing(lr, width, optimizer):
    new = Space({**DROPOUT, **SPACE, "nesterov": Categorical([False, True], default=True, when={"optimizer": ["sgd"]})})
    completion = Completion.of(new, [(Space(SPACE), new)])
    params = {"lr": lr, "width": width, "optimizer": optimizer, "size": "m"}
    if optimizer == "sgd":
        params["momentum"] = 0.25
    out, key = completion.checked(params)
    assert {name: out[name] for name in params} == params
    assert set(out) - set(params) == ({"dropout", "nesterov"} if optimizer == "sgd" else {"dropout"})
    assert list(out) == [name for name in new if name in out]
    assert key == new.key(out)
    assert completion.params(out) == out
