import pytest
import torch


@pytest.fixture
def one_thread():
    """Tiny networks gain nothing from threads; afterwards there are as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
