"""What the tests of the training commands share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """On a busy machine, threads that share tiny matrices wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Options of a short training; miniatures are drawn once: bus has 42 training images, and 6 and 12 others."""
    cache = tmp_path_factory.mktemp("cache")
    return ["--tiny", "--batch-size", "16", "--cache-dir", str(cache)]
