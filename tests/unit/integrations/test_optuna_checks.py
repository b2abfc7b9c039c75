"""Wrong uses are told with the remedy."""

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from hybridbo import Float, Int
from hybridbo.errors import StudyMismatch
from hybridbo.integrations import optuna_attrs as attrs
from hybridbo.integrations.optuna_checks import refuse_directions, refuse_space
from hybridbo.integrations.optuna_space import given_columns
from hybridbo.trial import Origin


def trial(distributions, **given):
    return optuna.create_trial(
        value=1.0, params={n: d.low for n, d in distributions.items()}, distributions=distributions, **given
    )


def proposed_to(*directions):
    return trial({}, system_attrs={attrs.PROPOSAL: attrs.Record(Origin("gp", ""), directions=directions).to_data()})


def test_trials_of_a_study_that_minimises_are_refused_by_one_that_maximises():
    study = optuna.create_study(direction="maximize", study_name="mine")
    study.add_trial(proposed_to("minimize"))
    with pytest.raises(
        StudyMismatch, match=r"trial 0 of study 'mine' was proposed to minimize.*maximize.*turn the sign"
    ):
        refuse_directions(study, study.trials)


def test_trials_of_the_same_directions_or_of_nobody_are_welcome():
    study = optuna.create_study(directions=["maximize", "minimize"])
    refuse_directions(study, [proposed_to("maximize", "minimize"), trial({})])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": Int(0, 1)}, r"'x' as FloatDistribution.*IntDistribution"),
        ({"x": Float(0.1, 1, log=True)}, r"'x' as FloatDistribution.*log=True"),
        ({"a": Float(0, 1), "b": Float(0, 1)}, r"asks for x, and search_space= has a, b: nothing in common"),
    ],
)
def test_another_studys_search_space_is_refused(given, words):
    with pytest.raises(StudyMismatch, match=words):
        refuse_space("mine", [trial({"x": FloatDistribution(0, 1)})], given_columns(given))


def test_another_range_and_further_parameters_are_welcome():
    trials = [trial({"x": FloatDistribution(0, 1), "y": IntDistribution(0, 9)})]
    refuse_space("mine", trials, given_columns({"x": Float(5, 7, step=0.5), "z": Int(0, 1)}))
    refuse_space("mine", [], given_columns({"z": Int(0, 1)}))
