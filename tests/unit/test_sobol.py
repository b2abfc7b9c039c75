import threading

import numpy as np
from scipy.stats import qmc

from hybridbo.sobol import SobolPoints


def test_points_are_those_of_the_sequence_in_whichever_order_they_are_asked_for():
    expected = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(7)).random(256)
    for order in (range(256), reversed(range(256)), (200, 3, 64, 63, 255)):
        points = SobolPoints(3, 7)
        for i in order:
            assert (points[i] == expected[i]).all()


def test_another_seed_gives_other_points():
    assert (SobolPoints(2, 0)[5] != SobolPoints(2, 1)[5]).any()


def test_what_is_handed_out_can_be_changed():
    points = SobolPoints(2, 0)
    first = points[0].copy()
    points[0][:] = 9.0
    assert (points[0] == first).all()


def test_threads_may_share_it():
    points, seen = SobolPoints(2, 0), []
    threads = [threading.Thread(target=lambda: seen.append([points[i].tolist() for i in range(200)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[1:] == seen[:1] * 3
