import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


@pytest.fixture
def one_thread():
    """Tiny networks gain nothing from threads; afterwards there are as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class DoublesElsewhere(TorchDispatchMode):
    """Keeps which operations make numbers of double precision that are not on the CPU."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        parts = made if isinstance(made, tuple | list) else (made,)
        tensors = [part for part in parts if isinstance(part, torch.Tensor)]
        if any(part.dtype == torch.float64 and part.device.type != "cpu" for part in tensors):
            self.seen.append(func)
        return made


@pytest.fixture
def doubles_elsewhere():
    """For code that runs on devices without double precision."""
    return DoublesElsewhere()
