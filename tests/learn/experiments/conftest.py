"""What the tests of the training scripts share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tiny models gain nothing from threads, which on a busy machine wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Arguments for a short training; miniatures are drawn once: of bus 42 images, and 6 and 12 to evaluate on."""
    cache = tmp_path_factory.mktemp("cache")
    return ["--tiny", "--batch-size", "16", "--cache-dir", str(cache)]
