"""What all tests share: one thread a worker, and a home folder of their own."""

import os
import tempfile

# labml keeps a few files in the home folder; the tests have no business in the real one. Set before
# anything imports labml, and handed on to the processes that tests start
os.environ['HOME'] = tempfile.mkdtemp(prefix='labml_nn_tests_')
os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Every test starts from the same random numbers, in whatever order they run."""
    torch = pytest.importorskip('torch')
    torch.set_num_threads(1)
    torch.manual_seed(0)


# Left to `make test-long`: what starts many processes, a browser at every width, or computes for
# minutes. `make test` has the same claims in a smaller form wherever there is one
LONG = [
    'tests/diffusion/ddpm/test_experiment.py::test_a_signal_saves_and_resuming_goes_on[15]',
    'tests/diffusion/ddpm/test_fast.py::test_a_compiled_run_is_the_run',
    'tests/diffusion/ddpm/test_fast.py::test_training_in_half_precision',
    'tests/diffusion/ddpm/test_likelihood.py::test_eight_bit_data',
    'tests/diffusion/ddpm/test_lightning.py',
    'tests/diffusion/ddpm/test_resume.py::test_cut_anywhere_and_resumed_is_the_same[files]',
    'tests/diffusion/ddpm/test_resume.py::test_cut_anywhere_and_resumed_is_the_same[previews]',
    'tests/compute/test_distributed.py::test_a_',
    'tests/compute/test_distributed.py::test_only_the_first_process',
    'tests/compute/test_distributed.py::test_samples_are_shared_out',
    'tests/compute/test_distributed.py::test_what_cannot_be_divided',
    'tests/cli/test_output.py::test_work_goes_on_when_nobody_reads[>&-]',
    'tests/cli/test_output.py::test_work_goes_on_when_nobody_reads[>/dev/full]',
    'tests/cli/test_output.py::test_work_is_done_in_any_encoding[cp932]',
    'tests/runs/test_trackers.py::test_a_labml_server_that_is_gone',
    'tests/runs/test_trackers.py::test_a_network_that_is_missing',
    'tests/runs/test_trackers.py::test_a_package_that_is_missing',
    'tests/runs/test_trackers.py::test_a_server_that_refuses',
    'tests/runs/test_trackers.py::test_comet',
    'tests/runs/test_trackers.py::test_labml_tells_the_server',
    'tests/runs/test_trackers.py::test_nothing_but_one_line',
    'tests/runs/test_trackers.py::test_tensorboard',
    'tests/runs/test_trackers.py::test_tracking_changes_nothing',
    'tests/runs/test_trackers.py::test_wandb',
    'tests/data/test_vision.py::test_a_torch_without_the_operators',
    'tests/notebooks/test_notebooks.py::test_it_trains',
    'tests/notebooks/test_notebooks.py::test_published_weights',
    'tests/pylit/test_browser.py::test_every_page[dark-1',
    'tests/pylit/test_browser.py::test_every_page[dark-3',
    'tests/pylit/test_browser.py::test_every_page[light-1024]',
    'tests/pylit/test_browser.py::test_every_page[light-320]',
    'tests/pylit/test_browser.py::test_our_own_pages',
    'tests/pylit/test_parse_property.py::test_every_line_once_in_the_standard_library',
    'tests/test_doctor.py',
    'tests/test_faults.py',
    'tests/test_house.py::test_the_python_of_the_readme_runs',
]

# What takes longest goes first: begun last, one of these files keeps one worker busy while the
# others have nothing left to do
FIRST = [
    'tests/runs/test_trackers.py', 'tests/notebooks/', 'tests/compute/test_distributed.py',
    'tests/pylit/test_browser.py', 'tests/test_faults.py', 'tests/test_house.py',
    'tests/diffusion/ddpm/test_resume.py', 'tests/diffusion/ddpm/test_experiment.py',
]  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    def place(item):
        return next((i for i, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST))

    for item in items:
        if item.nodeid.startswith(tuple(LONG)):
            item.add_marker('long')
    items.sort(key=place)
    if config.args == list(config.getini('testpaths')):  # all of them are here
        names = [item.nodeid for item in items]
        gone = [name for name in LONG if not any(n.startswith(name) for n in names)]
        assert not gone, f'tests/conftest.py names tests that are gone: {gone}'
