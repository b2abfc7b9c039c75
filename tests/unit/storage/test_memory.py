"""What the store in memory can do beyond the contract, which stands in tests/contracts/test_stores.py."""

import copy
import pickle

import pytest

from hybridbo import Float, Optimizer
from hybridbo.storage.memory import MemoryStore


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda store: pickle.loads(pickle.dumps(store))])
def test_a_copy_holds_the_same_and_is_a_store_of_its_own(duplicate):
    store = MemoryStore()
    opt = Optimizer({"x": Float(0, 1)}, store=store, llm=None, seed=0)
    opt.tell(opt.ask(), 1.0)
    again = Optimizer.load(duplicate(store))
    assert again.trials == opt.trials
    again.tell(again.ask(), 2.0)
    assert len(opt.trials) == 1
    assert len(again.trials) == 2
