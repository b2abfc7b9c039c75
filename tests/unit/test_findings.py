import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_curves import FAMILIES, NOISES, a_log

from hybridbo.findings import KINDS, analyse

N = 60
T = np.linspace(0, 1, 30)


def points(values, start=0):
    return [(start + i, float(value)) for i, value in enumerate(values)]


def kinds(**log):
    return [finding.kind for finding in analyse({name: points(values) for name, values in log.items()})]


FALL = 0.1 + np.exp(-9 * T)
LATE = np.clip(T - 0.4, 0, None)


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ({"train_loss": FALL, "val_loss": FALL + 0.02}, ["plateau"]),
        ({"train_loss": FALL - 0.05 * T, "val_loss": FALL + LATE}, ["overfitting"]),
        ({"train_acc": 1 - FALL / 1.2 + 0.05 * T, "val_acc": 1 - (FALL + 0.5 * LATE) / 1.2}, ["overfitting"]),
        ({"val_loss": FALL + LATE}, ["overfitting"]),  # without training curve
        ({"val_loss": FALL + 9 * LATE}, ["divergence"]),  # which passes its start
        ({"train_loss": FALL + LATE, "val_loss": FALL + LATE}, ["divergence"]),
        ({"loss": FALL + LATE}, ["divergence"]),
        ({"loss": 1 + 5 * T}, ["divergence"]),
        ({"loss": 2.3 - 0.03 * (1 - np.exp(-9 * T)), "val_loss": 2.31 - 0.03 * T}, ["underfitting"]),
        ({"loss": 1 - 0.7 * T}, ["under-training"]),
        ({"train_accuracy": 0.1 + 0.7 * T, "val_accuracy": 0.1 + 0.6 * T}, ["under-training"]),
        ({"train_loss": 0.3 - 0.29 * T, "val_loss": 0.5 - 0.01 * T}, ["overfitting"]),  # a gap
        ({"loss": np.ones(30)}, ["underfitting", "plateau"]),
        ({"loss": np.zeros(30)}, ["plateau"]),
        ({"loss": FALL[:4]}, []),  # too few
        ({"loss": []}, []),
        ({"lr": FALL[::-1], "grad_norm": np.arange(30)}, []),  # nothing that ought to fall
        ({"lr": [0.1, math.nan]}, ["divergence"]),
        ({"loss": [*FALL[:9], math.inf, *FALL[10:]]}, ["divergence"]),
        ({"loss": [math.nan]}, ["divergence"]),
    ],
)
def test_what_is_found(log, found):
    assert kinds(**log) == found


def test_the_evidence_has_the_numbers_and_steps():
    log = {"train_loss": points(FALL - 0.05 * T), "val_loss": points(FALL + LATE)}
    [finding] = analyse(log)
    best = min(log["val_loss"], key=lambda point: point[1])
    assert finding.metric == "val_loss"
    assert abs(finding.step - best[0]) <= 3
    assert finding.figures["best"] == pytest.approx(best[1], rel=0.1)
    assert finding.figures["end"] == pytest.approx(log["val_loss"][-1][1], rel=0.1)
    assert "train_loss went from" in finding.evidence
    assert str(finding) == f"overfitting (val_loss): {finding.evidence}"


def test_the_first_odd_value_is_named():
    [finding] = analyse({"loss": [(0, 1.0), (10, 2.0), (20, math.inf), (30, math.nan)]})
    assert finding.evidence == "inf at step 20, and 1 later values are not finite."


def test_noise_is_told_and_nothing_else_is_claimed():
    rng = np.random.default_rng(0)
    [finding] = analyse({"loss": points(1 - 0.5 * T + rng.normal(0, 1.0, 30))})
    assert finding.kind == "noise"
    assert finding.figures["sd"] == pytest.approx(1.0, rel=0.4)


def test_the_order_of_points_and_metrics_does_not_matter():
    log = {"train_loss": points(FALL - 0.05 * T), "val_loss": points(FALL + LATE)}
    turned = {name: log[name][::-1] for name in reversed(log)}
    assert analyse(turned) == analyse(log)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
def test_the_scale_does_not_matter(scale):
    assert kinds(train_loss=scale * (FALL - 0.05 * T), val_loss=scale * (FALL + LATE)) == ["overfitting"]
    assert kinds(loss=scale * (1 - 0.7 * T)) == ["under-training"]


@pytest.mark.parametrize("names", [("loss", "val_loss"), ("Loss/train", "Loss/validation"), ("trainLoss", "evalLoss")])
def test_names_of_all_manners_belong_together(names):
    assert kinds(**dict(zip(names, (FALL - 0.05 * T, FALL + LATE), strict=True))) == ["overfitting"]


def rates(family, **options):
    """How often of N logs something is missed, and how often something false is claimed."""
    missed, false = Counter(), Counter()
    for seed in range(N):
        log, must, may = a_log(np.random.default_rng([seed, 1]), family, **options)
        found = {finding.kind for finding in analyse(log)}
        missed.update(must - found)
        false.update(found - must - may)
    return sum(missed.values()) / N, sum(false.values()) / N


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("family", [*FAMILIES, "noise"])
def test_how_often_it_is_right(family, kind):
    """On logs of 12 to 500 points, with noise of up to 2 % of the gain (of noise itself: 60 to 150 %)."""
    missed, false = rates(family, kind=kind)
    # to claim a plateau takes more points than to see a rise; of noise that lasts, single points show a part
    allowed = {"plateau": 0.3, "noise": 0.4, "gap": 0.15}.get(family, 0.08)
    assert missed <= allowed
    assert false <= 0.1 if family == "noise" else false <= 0.04


@pytest.mark.parametrize("family", ["good fit", "under-training", "divergence", "underfitting"])
def test_without_validation(family):
    missed, false = rates(family, with_val=False)
    assert missed <= 0.08
    assert false <= 0.04


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["train_loss", "val_loss", "acc", "val_acc", "lr", "☃"]),
        st.lists(st.tuples(st.floats(0, 1e9), st.floats()), max_size=40),
        max_size=4,
    )
)
def test_any_log_is_judged_without_an_error(log):
    with np.errstate(all="raise"):
        found = analyse(log)
    assert [f.kind for f in found] == [kind for kind in KINDS if kind in {f.kind for f in found}]
    assert all(f.evidence.endswith(".") and f.metric in log for f in found)
