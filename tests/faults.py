"""What training survives: `make faults`.

    python -m tests.faults [--short] [--kills 50] [--seed 0]

Each fault is done for real to a run of the smallest preset: processes are killed, files damaged,
disks filled. Then the run is resumed, and in the end it must be in the same state, to the last bit,
and have the same log, as a run that nothing has happened to. Prints a table, which is a page of the
site when all of it was tried; the exit status tells whether everything was survived.
"""

import argparse
import contextlib
import datetime
import io
import os
import platform
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import torch
from PIL import Image

from labml_nn.data import datasets
from labml_nn.diffusion.ddpm.experiment import main
from labml_nn.runs import checkpoint, safetensors, trackers
from labml_nn.runs.log import COLUMNS
from tests.kit.runs import called, equal

# What the whole of it is written to
PAGE = Path(__file__).parents[1] / 'labml_nn/diffusion/ddpm/faults.md'

SAVE_EVERY = 3
OPTIONS = [
    '--preset', 'tests', '--n_previews', '0', '--n_samples', '0', '--log_every', '1',
    '--save_every', str(SAVE_EVERY), '--dropout', '0.1',
]  # fmt: skip


@dataclass
class Outcome:
    """What became of one kind of fault."""

    fault: str
    tried: int = 0
    survived: int = 0
    lost: int = 0  # steps, at most
    remark: str = ''

    def count(self, survived: bool, lost: int = 0) -> None:
        self.tried += 1
        self.survived += survived
        self.lost = max(self.lost, lost)


# ## Runs in processes of their own


class Run:
    """A run in a child process, forked so that it need not import torch again."""

    def __init__(self, out: Path, *options: object, before: Callable[[], object] | None = None):
        self.out = out
        self.said = out.with_name(out.name + '.said')
        new = ['--resume'] if checkpoint.exists(out) else OPTIONS
        arguments = [*map(str, new), '--out', str(out), *map(str, options)]
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            file = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            status = 99
            try:
                if before is not None:
                    before()
                status = main(arguments)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)

    def wait(self) -> int:
        """The exit status, or minus the signal that has ended it."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return status

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def text(self) -> str:
        return self.said.read_text()


def rows(out: Path) -> list[list[str]]:
    """The rows of a log that are whole, without the two columns of times."""
    path = out / 'log.csv'
    lines = path.read_text().split('\n')[1:-1] if path.exists() else []
    return [line.split(',')[: len(COLUMNS) - 2] for line in lines]


class Workshop:
    """Where the faults are tried: folders, random moments, and runs to compare with."""

    def __init__(self, folder: Path, seed: int):
        self.folder = folder
        self.random = random.Random(seed)
        self.straight: dict[tuple[object, ...], Path] = {}
        self.names = 0

    def new(self) -> Path:
        self.names += 1
        return self.folder / f'run{self.names}'

    def whole(self, steps: int, *options: object) -> Path:
        """A run that nothing happens to, of so many steps."""
        key = (steps, *options)
        if key not in self.straight:
            self.straight[key] = self.new()
            run = Run(self.straight[key], '--steps', steps, *options)
            assert run.wait() == 0, run.text
        return self.straight[key]

    def as_if_nothing_had_happened(self, out: Path, steps: int, *options: object) -> bool:
        """Whether the run, gone on to `steps`, is what it would have been."""
        run = Run(out, '--steps', steps)
        if run.wait() != 0:
            print(run.text)
            return False
        whole = self.whole(steps, *options)
        a, b = (checkpoint.load(o) for o in (whole, out))
        differing = [k for k in a if k != 'config' and not equal(a[k], b[k])]
        if differing or rows(whole) != rows(out):
            print(f'{out} differs in {", ".join(differing) or "its log"}')
            return False
        return True


def lost(out: Path) -> int:
    """The steps that were logged after the newest checkpoint that is whole."""
    logged = rows(out)
    return max(int(logged[-1][0]) - checkpoint.load(out)['step'], 0) if logged else 0


# ## The faults


def killed_at_random_moments(w: Workshop, times: int) -> Outcome:
    """`kill -9`, also in the middle of writing."""
    outcome, out, writing = Outcome('kill -9 at a random moment'), w.new(), 0
    began = time.monotonic()
    assert Run(w.new(), '--steps', 1).wait() == 0
    start = time.monotonic() - began  # until there is something to lose
    for _ in range(times):
        run = Run(out, '--steps', 1_000_000)
        time.sleep(w.random.uniform(0.3 * start, 2 * start))
        run.send(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        if not out.exists():
            continue
        writing += any(out.glob('.checkpoint.pt.*.part'))
        if checkpoint.exists(out):
            outcome.count(lost(out) <= SAVE_EVERY, lost(out))
    step = checkpoint.load(out)['step']
    outcome.remark = f'{writing} of them while it wrote; {step} steps in the end'
    if not w.as_if_nothing_had_happened(out, step + 4):
        outcome.survived = 0
    return outcome


def stopped_by_sigterm(w: Workshop, times: int) -> Outcome:
    """As a preempted cloud machine sends it; nothing at all is lost."""
    outcome, out = Outcome('SIGTERM at a random moment'), w.new()
    for i in range(times):
        run = Run(out, '--steps', 1_000_000)
        begun = len(rows(out))
        while len(rows(out)) <= begun:
            time.sleep(0.01)
        time.sleep(w.random.uniform(0, 0.3))
        run.send(signal.SIGTERM)
        good = run.wait() == 128 + signal.SIGTERM
        good = good and bool(re.search(r'SIGTERM: stopped at step [\d,]+, saved in', run.text))
        outcome.count(good and lost(out) == 0, lost(out))
    step = checkpoint.load(out)['step']
    if not w.as_if_nothing_had_happened(out, step + 4):
        outcome.survived = 0
    return outcome


def limited(size: int) -> Callable[[], object]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def disk_full(w: Workshop, times: int) -> Outcome:
    """No file may grow beyond a size that ends somewhere within a checkpoint or the log."""
    outcome = Outcome('disk full (file size limit)')
    for _ in range(times):
        out = w.new()
        assert Run(out, '--steps', 7).wait() == 0
        size = (out / 'checkpoint.pt').stat().st_size
        run = Run(out, '--steps', 20, before=limited(w.random.randrange(2000, size)))
        # It shows when the run starts, and writes what it has
        good = run.wait() == 2 and 'error: ' in run.text and 'Traceback' not in run.text
        good = good and lost(out) <= SAVE_EVERY and checkpoint.load(out)['step'] == 7
        outcome.count(good and w.as_if_nothing_had_happened(out, 11), lost(out))
    return outcome


@contextlib.contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[bool]:
    """A small disk at `folder`; false where none can be had."""
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(['umount', str(folder)], check=True)


def disk_full_later(w: Workshop, times: int) -> Outcome:
    """A real, small disk that fills up while the run goes on, and is emptied again."""
    outcome = Outcome('disk full (small tmpfs)')
    for i in range(times):
        disk = w.new()
        with tmpfs(disk, '24m') as there:
            if not there:
                outcome.remark = 'no tmpfs can be mounted here'
                return outcome
            out, filler = disk / 'run', disk / 'filler'
            run = Run(out, '--steps', 1_000_000, '--keep_checkpoints', 2)
            while len(rows(out)) <= 3:
                time.sleep(0.01)
            with contextlib.suppress(OSError), filler.open('wb') as file:
                while True:
                    file.write(bytes(2**16))
            good = run.wait() == 1 and 'is the disk full? Make room and go on' in run.text
            filler.unlink()
            good = good and lost(out) <= SAVE_EVERY
            steps, n = lost(out), checkpoint.load(out)['step'] + 4
            # Its samples and pictures are small; what it holds is compared as ever
            outcome.count(good and w.as_if_nothing_had_happened(out, n), steps)
    return outcome


def damaged(name: str, damage: Callable[[Workshop, bytes], bytes]) -> Callable[..., Outcome]:
    """The newest checkpoint is damaged in some way; the one before it is taken."""

    def fault(w: Workshop, times: int) -> Outcome:
        outcome = Outcome(name)
        out = w.new()
        assert Run(out, '--steps', 9).wait() == 0
        file = out / 'checkpoint.pt'
        whole = file.read_bytes()
        good = checkpoint.checksum(checkpoint.load(out))
        for _ in range(times):
            file.write_bytes(damage(w, whole))
            with contextlib.redirect_stderr(io.StringIO()):
                found = checkpoint.load(out)
            # Found out, or harmless: zip files have bits that nobody reads
            is_same = checkpoint.checksum(found) == good
            outcome.count(is_same or found['step'] == 6, 9 - found['step'])
        if not w.as_if_nothing_had_happened(out, 12):
            outcome.survived = 0
        return outcome

    return fault


def truncate(w: Workshop, content: bytes) -> bytes:
    return content[: w.random.randrange(len(content))]


def flip(w: Workshop, content: bytes) -> bytes:
    damaged = bytearray(content)
    damaged[w.random.randrange(len(content))] ^= 1 << w.random.randrange(8)
    return bytes(damaged)


class Bomb:
    """What makes a folder when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def code_in_a_checkpoint(w: Workshop, times: int) -> Outcome:
    """It is refused, says why, and does not run."""
    outcome = Outcome('checkpoint that holds code')
    for _ in range(times):
        out, trace = w.new(), w.new()
        assert Run(out, '--steps', 9).wait() == 0
        torch.save({'format': checkpoint.FORMAT, 'step': Bomb(trace)}, out / 'checkpoint.pt')
        before = 9 - 6
        run = Run(out, '--steps', 12)
        good = run.wait() == 0 and 'holds more than tensors and plain values' in run.text
        good = good and not trace.exists()
        outcome.count(good and w.as_if_nothing_had_happened(out, 12), before)
    return outcome


def two_processes(w: Workshop, times: int) -> Outcome:
    """The second is refused and told by whom; the first does not notice."""
    outcome = Outcome('two processes, one folder')
    for _ in range(times):
        out = w.new()
        first = Run(out, '--steps', 40)
        while len(rows(out)) < 3:
            time.sleep(0.01)
        second = Run(out, '--steps', 60)
        good = second.wait() == 2 and f'in use by process {first.pid} on' in second.text
        good = first.wait() == 0 and good
        outcome.count(good and w.as_if_nothing_had_happened(out, 40))
    return outcome


def broken_tracker(w: Workshop, times: int) -> Outcome:
    """Training is worth more."""

    @contextlib.contextmanager
    def broken(*_: object) -> Iterator[Callable[..., None]]:
        def track(*_: object) -> None:
            raise ConnectionError('the server is gone')

        yield track

    outcome, out = Outcome('tracker that raises'), w.new()
    run = Run(out, '--steps', 8, before=lambda: trackers.TRACKERS.update(labml=broken))
    good = (
        run.wait() == 0 and 'labml does not record all of this run (the server is gone)' in run.text
    )
    outcome.count(good and w.as_if_nothing_had_happened(out, 8))
    return outcome


def dead_worker(w: Workshop, times: int) -> Outcome:
    """A process that decodes pictures is killed; another takes its place."""
    outcome, pictures = Outcome('data worker that dies'), w.folder / 'pictures'
    pictures.mkdir()
    for i in range(12):
        noise = bytes(w.random.randrange(256) for _ in range(64))
        Image.frombytes('L', (8, 8), noise).save(pictures / f'{i}.png')
    options = ['--dataset', 'folder', '--data_root', pictures, '--workers', 2]
    kept, datasets.KEEP_BYTES = datasets.KEEP_BYTES, 0
    for i in range(times):
        # A seed of its own for each: not one run to compare with for all
        out, chosen = w.new(), [*options, '--seed', i]
        run = Run(out, '--steps', 30, *chosen)
        while len(rows(out)) < 3:
            time.sleep(0.01)
        children = Path(f'/proc/{run.pid}/task/{run.pid}/children').read_text().split()
        os.kill(int(w.random.choice(children)), signal.SIGKILL)
        good = run.wait() == 0 and 'started others' in run.text
        if not good:  # it hit the one moment in which a step is half taken
            good = 'die again and again' in run.text or 'saved step' in run.text
        outcome.count(good and w.as_if_nothing_had_happened(out, 30, *chosen))
    datasets.KEEP_BYTES = kept
    return outcome


def backward_clock(w: Workshop, times: int) -> Outcome:
    """The time of day is set back while the run goes on, and between two runs."""

    def set_back() -> None:
        now, passed = time.time, time.monotonic()
        time.time = lambda: now() - 86_400 - 3600 * (time.monotonic() - passed)

    outcome, out = Outcome('clock going backwards'), w.new()
    first = Run(out, '--steps', 5).wait()
    run = Run(out, '--steps', 10, before=set_back)
    outcome.count(first == run.wait() == 0 and w.as_if_nothing_had_happened(out, 10))
    return outcome


# ## Those who look at a run, and those who hand around its files


def edited_log(w: Workshop, times: int) -> Outcome:
    """Somebody has written into log.csv: it is put aside whole, and the run is the same."""
    edits: list[Callable[[str], str]] = [
        lambda text: '',
        lambda text: text + 'a note\n',
        lambda text: text + 'a note, with a comma\n',
        lambda text: text.replace(',', ';'),
        lambda text: text.replace('loss,', 'Loss,', 1),
        lambda text: '\n'.join(reversed(text.split('\n'))),
        lambda text: '\ufeff' + text,
    ]
    outcome = Outcome('log edited by hand')
    for i in range(times):
        out = w.new()
        assert Run(out, '--steps', 6).wait() == 0
        log = out / 'log.csv'
        text = edits[i % len(edits)](log.read_text())
        log.write_text(text)
        run = Run(out, '--steps', 9)
        good = run.wait() == 0 and 'it is now log.aside1.csv' in run.text
        good = good and (out / 'log.aside1.csv').read_text() == text
        whole = checkpoint.load(w.whole(9))
        found = checkpoint.load(out)
        outcome.count(good and all(equal(whole[k], found[k]) for k in whole if k != 'config'))
    return outcome


def closed_terminal(w: Workshop, times: int) -> Outcome:
    """SIGHUP, as a terminal sends it when it is closed; nobody reads any more either."""
    outcome, out = Outcome('closed terminal (SIGHUP, no reader)'), w.new()
    for _ in range(times):
        begun = len(rows(out))
        run = Run(out, '--steps', 1_000_000, before=in_terminal)
        while len(rows(out)) <= begun:
            time.sleep(0.01)
        run.send(signal.SIGHUP)
        outcome.count(run.wait() == 128 + signal.SIGHUP and lost(out) == 0, lost(out))
    if not w.as_if_nothing_had_happened(out, checkpoint.load(out)['step'] + 4):
        outcome.survived = 0
    return outcome


def in_terminal() -> None:
    """As a shell starts a command, also where `nohup` has started this one; nobody reads."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    gone_reader()


def gone_reader() -> None:
    """A pipe that nobody reads, in the place of the output."""
    end, start = os.pipe()
    os.close(end)
    os.dup2(start, 1)
    os.dup2(start, 2)


def unreadable_output(w: Workshop, times: int) -> Outcome:
    """Readers that are gone, closed streams, and encodings that lack what is printed."""

    def encoded(name: str) -> Callable[[], object]:
        def set_encoding() -> None:
            sys.stdout = open(1, 'w', encoding=name, closefd=False)  # noqa: SIM115
            sys.stderr = open(2, 'w', encoding=name, closefd=False)  # noqa: SIM115

        return set_encoding

    ways = [gone_reader, lambda: os.closerange(1, 3)]
    ways += [encoded(name) for name in ('ascii', 'cp1252', 'cp932', 'cp1251', 'latin-1', 'utf-16')]
    outcome = Outcome('output that nobody can read')
    for i in range(times):
        out = w.new()
        good = Run(out, '--steps', 5, before=ways[i % len(ways)]).wait() == 0
        outcome.count(good and w.as_if_nothing_had_happened(out, 5))
    return outcome


def bad_pictures(w: Workshop, times: int) -> Outcome:
    """One bad picture among good ones: refused by its name, or left out."""
    outcome = Outcome('bad picture in a folder')
    for _ in range(times):
        pictures, bad = w.new(), w.random.randrange(8)
        pictures.mkdir()
        for i in range(8):
            noise = bytes(w.random.randrange(256) for _ in range(64))
            Image.frombytes('L', (8, 8), noise).save(pictures / f'{i}.png')
        file = pictures / f'{bad}.png'
        # Its last 20 bytes are checksums and an end mark: without them no pixel is missing
        file.write_bytes(truncate(w, file.read_bytes()[:-20]))
        options = ['--dataset', 'folder', '--data_root', pictures, '--steps', 4]
        out = w.new()
        refused = Run(out, *options)
        good = refused.wait() == 2 and file.name in refused.text and not out.exists()
        good = good and 'Traceback' not in refused.text
        left_out = Run(out, *options, '--bad_pictures', 'skip')
        outcome.count(left_out.wait() == 0 and f'{bad}.png' in left_out.text and good)
    return outcome


def strange(w: Workshop) -> object:
    """A value that may stand anywhere in the file of a stranger."""
    return w.random.choice([
        None, True, -1, 10**30, float('nan'), float('-inf'), 'x', b'x', [], [1], {}, {'x': 1}, (),
        torch.zeros(0), torch.zeros(3), torch.full((12,), float('nan')), torch.ones(2, 2).long(),
    ])  # fmt: skip


def made_strange(w: Workshop, value: object) -> object:
    """The same but for one place, somewhere within, that holds a strange value."""
    if isinstance(value, dict) and value and w.random.random() < 0.85:
        name = w.random.choice(list(value))
        return {**value, name: made_strange(w, value[name])}
    if isinstance(value, list | tuple) and value and w.random.random() < 0.7:
        i = w.random.randrange(len(value))
        return type(value)([*value[:i], made_strange(w, value[i]), *value[i + 1 :]])
    return strange(w)


def hostile_checkpoint(w: Workshop, times: int) -> Outcome:
    """Its checksum is right. It is refused without a traceback, or did no harm."""
    outcome, out = Outcome('checkpoint with strange content'), w.new()
    assert Run(out, '--steps', 3, '--keep_checkpoints', 1).wait() == 0
    file = out / 'checkpoint.pt'
    whole, refused = checkpoint.load(out), 0
    for _ in range(times):
        name = w.random.choice(list(whole))
        state = {**whole, name: made_strange(w, whole[name]), 'format': checkpoint.FORMAT}
        torch.save({**state, 'checksum': checkpoint.checksum(state)}, file)
        try:
            status, _, errors = called(main, '--out', out, '--resume', '--dry-run')
        except Exception:
            status, errors = None, traceback.format_exc()
        good = 'Traceback' not in errors and (status == 0 or (status == 2 and 'error: ' in errors))
        refused += status == 2
        outcome.count(good)
        if not good:
            print(errors)
    outcome.remark = f'{refused} of them refused'
    return outcome


def hostile_safetensors(w: Workshop, times: int) -> Outcome:
    """Read or refused, whatever bytes are changed."""
    outcome, file, refused = Outcome('damaged safetensors'), w.new(), 0
    safetensors.save_file(file, {'a': torch.arange(6.0).reshape(2, 3), 'b': torch.ones(4)})
    whole = file.read_bytes()
    for i in range(times):
        content = bytearray([truncate, flip][i % 2](w, whole))
        for _ in range(w.random.randrange(4)):
            if content:
                content[w.random.randrange(len(content))] = w.random.randrange(256)
        file.write_bytes(content)
        try:
            found = safetensors.load_file(file)
            outcome.count(sum(t.numel() * t.element_size() for t in found.values()) <= len(content))
        except ValueError as error:
            refused += 1
            outcome.count(str(file) in str(error))
    outcome.remark = f'{refused} of them refused'
    return outcome


# Each fault, how often it is tried, and how often in the short form
FAULTS: list[tuple[Callable[[Workshop, int], Outcome], int, int]] = [
    (killed_at_random_moments, 50, 5),
    (stopped_by_sigterm, 10, 2),
    (disk_full, 5, 1),
    (disk_full_later, 3, 1),
    (damaged('truncated checkpoint', truncate), 50, 10),
    (damaged('bit-flipped checkpoint', flip), 200, 20),
    (code_in_a_checkpoint, 1, 1),
    (two_processes, 3, 1),
    (broken_tracker, 1, 1),
    (dead_worker, 3, 1),
    (backward_clock, 1, 1),
    (edited_log, 7, 2),
    (closed_terminal, 10, 1),
    (unreadable_output, 8, 2),
    (bad_pictures, 10, 1),
    (hostile_checkpoint, 300, 20),
    (hostile_safetensors, 1000, 100),
]


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as a table in Markdown."""
    lines = ['| fault | tried | survived | steps lost, at most | |', '|---|---:|---:|---:|---|']
    lines += [f'| {o.fault} | {o.tried} | {o.survived} | {o.lost} | {o.remark} |' for o in outcomes]
    return '\n'.join(lines)


def page(outcomes: list[Outcome], seed: int, seconds: float) -> str:
    """The annotated page with the table."""
    return f"""---
summary: Each fault that was done to runs for real, how often it was survived, the steps it cost.
---

# What a run survives

Written by `make faults`, which does all this to runs with a checkpoint every {SAVE_EVERY} steps,
resumes them, and compares them with a run that nothing has happened to: weights, average, optimizer
and random states to the last bit, and the log row by row, but for its two columns of times. The
short form of it is part of the tests [tested](test:test_faults.py::test_the_whole_is_a_success).

* **Command** `python -m tests.faults --seed {seed}`: {seconds / 60:.0f} minutes
* **Machine** {platform.system()} {platform.machine()}, {os.cpu_count()} cores;
  Python {platform.python_version()}, torch {torch.__version__}; {datetime.date.today()}

{table(outcomes)}

What surrounds the loop, and says what has happened, is on [its own page](../../runs/run.html); how
a checkpoint is written is on [that of the checkpoints](../../runs/checkpoint.html). A killed
process of several is [another matter](../../compute/distributed.html).
"""


def command(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--short', action='store_true', help='each fault a few times')
    parser.add_argument('--only', help='the faults whose names in this file hold this')
    parser.add_argument('--kills', type=int, help='how often to kill (50)')
    parser.add_argument('--seed', type=int, default=0, help='of the random moments')
    a = parser.parse_args(argv)
    torch.set_num_threads(1)
    began = time.monotonic()
    outcomes = []
    with tempfile.TemporaryDirectory(prefix='faults_') as folder:
        w = Workshop(Path(folder), a.seed)
        # All that is imported late, for the children to have it
        with contextlib.redirect_stdout(io.StringIO()):
            assert main([*OPTIONS, '--steps', '1', '--out', str(w.new())]) == 0
        for fault, often, seldom in FAULTS:
            if a.only and a.only not in fault.__name__:
                continue
            times = seldom if a.short else often
            if a.kills and fault is killed_at_random_moments:
                times = a.kills
            outcomes.append(fault(w, times))
            print(f'{time.monotonic() - began:6.0f} s  {outcomes[-1].fault}', file=sys.stderr)
    print(f'A checkpoint every {SAVE_EVERY} steps, seed {a.seed}:\n')
    print(table(outcomes))
    if not (a.short or a.kills or a.only):
        PAGE.write_text(page(outcomes, a.seed, time.monotonic() - began), encoding='utf-8')
        print(f'\nwrote {PAGE}', file=sys.stderr)
    return int(any(o.survived < o.tried or o.lost > SAVE_EVERY for o in outcomes))


if __name__ == '__main__':
    sys.exit(command())
