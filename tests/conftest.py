"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """The tensors of tests are small: a second thread would mostly wait for the first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
