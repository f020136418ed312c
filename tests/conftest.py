"""What all tests share: one thread a worker, and a home folder of their own."""

import os
import tempfile

# labml keeps a few files in the home folder; the tests have no business in the real one. Set before
# anything imports labml, and handed on to the processes that tests start
os.environ['HOME'] = tempfile.mkdtemp(prefix='labml_nn_tests_')
os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest

from tests.kit import close


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Every test starts from the same random numbers, in whatever order they run."""
    torch = pytest.importorskip('torch')
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def kept(request):
    """What a test compares goes to the report of the run."""
    with close.kept_in(request.node.user_properties):
        yield


# What takes longest goes first: begun last, one of these files keeps one worker busy while the
# others have nothing left to do
FIRST = [
    'tests/pylit/test_browser_places.py', 'tests/runs/test_trackers.py', 'tests/notebooks/',
    'tests/compute/test_distributed.py', 'tests/pylit/test_browser.py', 'tests/test_faults.py',
    'tests/test_house.py', 'tests/diffusion/ddpm/test_resume.py',
    'tests/diffusion/ddpm/test_experiment.py',
]  # fmt: skip


def pytest_collection_modifyitems(items):
    def place(item):
        return next((i for i, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST))

    items.sort(key=place)
