"""The short form of `make faults`: real faults, real kills, and the run as if nothing had been."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def outcomes():
    if not hasattr(os, 'fork'):
        pytest.skip('the faults are tried on forked processes')
    done = subprocess.run(
        [sys.executable, '-m', 'tests.faults', '--short'],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=900,
    )  # fmt: skip
    found = re.findall(r'^\| ([^|]+?) \| (\d+) \| (\d+) \| (\d+) \| (.*) \|$', done.stdout, re.M)
    assert found, done.stdout + done.stderr
    return done, {name: (*map(int, numbers), remark) for name, *numbers, remark in found}


def check(outcomes, name, most_lost, at_least=1):
    done, found = outcomes
    tried, survived, lost, remark = found[name]
    if not tried and remark:
        pytest.skip(remark)
    assert tried >= at_least
    assert survived == tried, done.stdout
    assert lost <= most_lost


def test_killed_at_random_moments(outcomes):
    check(outcomes, 'kill -9 at a random moment', 3, at_least=2)


def test_sigterm_loses_nothing(outcomes):
    check(outcomes, 'SIGTERM at a random moment', 0)


@pytest.mark.parametrize('how', ['file size limit', 'small tmpfs'])
def test_full_disks(outcomes, how):
    check(outcomes, f'disk full ({how})', 3)


@pytest.mark.parametrize('how', ['truncated', 'bit-flipped'])
def test_damaged_checkpoints(outcomes, how):
    check(outcomes, f'{how} checkpoint', 3, at_least=10)


@pytest.mark.parametrize(
    'name',
    ['two processes, one folder', 'tracker that raises', 'data worker that dies',
     'clock going backwards', 'log edited by hand', 'closed terminal (SIGHUP, no reader)',
     'output that nobody can read', 'bad picture in a folder', 'checkpoint with strange content',
     'damaged safetensors'],
)  # fmt: skip
def test_what_goes_on(outcomes, name):
    check(outcomes, name, 0)


def test_code_in_a_checkpoint(outcomes):
    check(outcomes, 'checkpoint that holds code', 3)


def test_the_whole_is_a_success(outcomes):
    assert outcomes[0].returncode == 0, outcomes[0].stdout
