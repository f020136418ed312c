"""One process for one folder."""

import os
import signal
import subprocess
import sys

import pytest

from labml_nn.runs.lock import FILE_NAME, Lock
from tests.kit.runs import HOLD


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'held\n'
    yield process
    process.kill()
    process.communicate()


def test_the_second_is_refused_and_told_by_whom(tmp_path, holder):
    with pytest.raises(ValueError, match=rf'{tmp_path} is in use by process {holder.pid} on .*20'):
        Lock(tmp_path)
    # Twice, as the first try must not have taken the lock's text away
    with pytest.raises(ValueError, match=f'process {holder.pid}'):
        Lock(tmp_path)


def test_a_killed_process_holds_no_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    Lock(tmp_path).release()
    assert (tmp_path / FILE_NAME).read_text().startswith(f'process {os.getpid()} on ')


def test_forked_children_do_not_hold_the_lock_on(tmp_path):
    """The processes that decode pictures may outlive a killed run by seconds."""
    code = (
        'import os, sys, time; from pathlib import Path; from labml_nn.runs.lock import Lock\n'
        'lock = Lock(Path(sys.argv[1]))\n'
        'if os.fork(): print("held", flush=True)\n'
        'time.sleep(3)'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'held\n'
    process.kill()
    process.wait()
    Lock(tmp_path).release()
    process.stdout.close()


def test_a_released_lock_can_be_taken_again(tmp_path):
    Lock(tmp_path).release()
    Lock(tmp_path).release()


def test_a_link_is_no_lock(tmp_path):
    (tmp_path / 'mine').write_text('precious')
    (tmp_path / FILE_NAME).symlink_to(tmp_path / 'mine')
    with pytest.raises(ValueError, match='is a link, not a lock'):
        Lock(tmp_path)
    assert (tmp_path / 'mine').read_text() == 'precious'
