import inspect
import pickle

import pytest

from engine import errors
from engine.errors import EngineError


def subclasses(kind):
    return [kind, *(deeper for sub in kind.__subclasses__() for deeper in subclasses(sub))]


def an_error(kind):
    count = len(inspect.signature(kind.__init__).parameters) - 1
    is_own = "__init__" in {name for k in kind.__mro__[:-3] for name in vars(k)}
    return kind(*[f"word {i}" for i in range(count if is_own else 1)])


@pytest.mark.parametrize("kind", subclasses(EngineError))
def test_every_error_crosses_a_process_boundary_as_it_is(kind):
    error = an_error(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert again.args == error.args
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_all_errors_of_the_module_are_in_the_tree():
    kinds = [
        k for _, k in inspect.getmembers(errors, inspect.isclass) if k.__module__ == errors.__name__
    ]
    assert set(kinds) <= set(subclasses(EngineError))


def test_only_the_death_of_a_worker_is_worth_asking_again():
    retryable = {kind.__name__ for kind in subclasses(EngineError) if kind.retryable}
    assert retryable == {"WorkerDied"}
