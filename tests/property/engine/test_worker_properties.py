import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import Cancel, Start
from tests.ideal_networks import (
    Caps,
    IdealNetworks,
    Reports,
    a_request,
    a_worker,
    alone,
    finish,
)

pytestmark = pytest.mark.usefixtures("restored_gradients")

requests = st.builds(
    a_request,
    seed=st.integers(0, 99),
    steps=st.integers(1, 4),
    image_count=st.integers(1, 4),
)
joined = st.lists(
    st.tuples(requests, st.integers(0, 3), st.booleans()),  # ticks before it comes, is cancelled
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=25)
@given(joined=joined, cap=st.integers(1, 12), most_rows=st.integers(1, 12))
def test_whoever_joins_or_leaves_each_request_gets_what_it_gets_alone(joined, cap, most_rows):
    """Whatever the row cap, and however little memory there is."""
    reports = Reports()
    worker = a_worker(reports, IdealNetworks(most_rows=most_rows), caps=Caps(most=cap))
    for number, (request, ticks, _) in enumerate(joined):
        worker.obey(number, Start(request))
        for _ in range(ticks):
            worker.tick()
    cancelled = {number for number, (_, _, is_cancelled) in enumerate(joined) if is_cancelled}
    for number in cancelled:
        worker.obey(number, Cancel())
    finish(worker)
    for number, (request, _, _) in enumerate(joined):
        if number not in cancelled:
            assert reports.images(number) == alone(request)
