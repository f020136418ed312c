r"""
# Formulas: set once, at build time

Mathematics is set by KaTeX before the page is written, so nothing moves while the reader reads
and nothing needs JavaScript. One Node process serves a whole build; it answers JSON lines with
JSON lines, so that Python can colour code on one core while Node sets formulas on the other.

KaTeX is not part of this package. `python -m labml_nn.pylit setup` installs the version of our
lock file, once per user, and its style sheet and fonts are copied from that same version:
class names have changed between versions, and a mixture looks broken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .problems import Refusal
from .remembered import Memory, cache_home, fingerprint

HERE = Path(__file__).parent / 'katex'
# Setting a formula takes time quadratic in its length: 5,000 characters half a second, 100,000
# more than three minutes. No formula that is read by people comes near the first.
LONGEST = 5000
PATIENCE = 20.0


@dataclass(frozen=True)
class Formula:
    """What KaTeX is asked. `marked` is `tex` with the glossary's symbols marked."""

    tex: str
    display: bool
    marked: str


@dataclass(frozen=True)
class Result:
    """HTML with MathML inside, or what is wrong and at which character."""

    html: str = ''
    error: str = ''
    position: int = 0


# ## Where KaTeX lives
def katex_home() -> Path:
    """A folder per lock file: another version never finds the wrong files."""
    lock = (HERE / 'package-lock.json').read_bytes()
    return cache_home() / f'katex-{hashlib.sha256(lock).hexdigest()[:12]}'


def katex() -> Path:
    found = katex_home() / 'node_modules' / 'katex'
    if not (found / 'dist' / 'katex.min.js').is_file():
        raise Refusal('KaTeX is not installed: run `python -m labml_nn.pylit setup`')
    return found


def node() -> str:
    found = shutil.which('node')
    if not found:
        raise Refusal('Node.js is not installed: formulas need Node 18 or later (nodejs.org)')
    return found


def setup() -> Path:
    """Install KaTeX for this user. Does nothing where it is installed already."""
    home = katex_home()
    if (home / 'node_modules' / 'katex' / 'dist' / 'katex.min.js').is_file():
        return home
    node()
    npm = shutil.which('npm')
    if not npm:
        raise Refusal('npm is not installed: it comes with Node.js (nodejs.org)')
    # Beside its place and then renamed, so that two at the same time do not meet
    fresh = home.with_name(f'{home.name}.tmp-{os.getpid()}')
    fresh.mkdir(parents=True, exist_ok=True)
    try:
        for name in ('package.json', 'package-lock.json'):
            shutil.copyfile(HERE / name, fresh / name)
        _install(npm, fresh)
        with contextlib.suppress(OSError):
            fresh.rename(home)  # fails if someone else was first, and then all is well too
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return home


def shortened(css: str) -> str:
    """A style sheet of KaTeX for formulas whose inner boxes have the names of `short.json`."""
    short = json.loads((HERE / 'short.json').read_text('utf-8'))
    css = re.sub(r'[.](-?[a-zA-Z][\w-]*)(?=[^{}]*\{)', lambda m: f'.{short.get(m[1], m[1])}', css)
    # Only the innermost boxes are selected by their tag
    return re.sub(r'(?<=>)(\s*)span\b', r'\1b', css)


def _install(npm: str, folder: Path) -> None:
    command = [npm, 'ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund']
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if 'npm error' in line]
        raise Refusal(f'npm could not install KaTeX: {said[0] if said else "no reason given"}')


# ## The typesetter
class Typesetter:
    """Sets formulas. What was asked once is never asked again."""

    def __init__(self, macros: dict[str, str] | None = None, remember: bool = True):
        self.macros = macros or {}
        self.known: dict[Formula, Result] = {}
        self.waiting: list[Formula] = []
        # A formula costs a millisecond or more to set and never changes
        path = cache_home() / 'formulas-2.sqlite' if remember else None
        self.memory = Memory(path, most=20_000)
        self.process: subprocess.Popen[str] | None = None
        self.answers: queue.Queue[str | None] = queue.Queue()
        self.outbox: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> Typesetter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.memory.close()
        if self.process:
            self.outbox.put(None)
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe:
                    pipe.close()
            self.process = None

    @cached_property
    def salt(self) -> str:
        """What sets the formulas: KaTeX, our script around it, the macros."""
        files = [HERE / 'package-lock.json', HERE / 'short.json', *sorted(HERE.glob('*.js'))]
        return fingerprint([path.read_text() for path in files], self.macros)

    def _name(self, formula: Formula) -> str:
        return fingerprint(self.salt, formula.tex, formula.marked, formula.display)

    def ask(self, formulas: Iterable[Formula]) -> None:
        """Hand formulas over. Node works on them while the caller does something else."""
        asked = set(self.waiting)
        new = [f for f in dict.fromkeys(formulas) if f not in self.known and f not in asked]
        for formula in [f for f in new if len(f.tex) > LONGEST]:
            message = f'{len(formula.tex):,} characters: a formula may have {LONGEST:,}'
            self.known[formula] = Result(error=message)
        new = [f for f in new if f not in self.known]
        kept = {f: self.memory.get(self._name(f)) for f in new}
        self.known |= {f: Result(shown) for f, shown in kept.items() if shown is not None}
        new = [f for f in new if f not in self.known]
        self.waiting += new
        if new:
            self._send(new)

    def collect(self) -> None:
        """Wait for what was asked."""
        fresh: dict[Formula, Result] = {}
        while self.waiting:
            formula = self.waiting[0]
            answer = self._receive()
            self.waiting.pop(0)
            if answer is None:
                # Start again behind the formula that could not be set
                fresh[formula] = Result(error='takes too long, or exhausts the memory, to set')
                self.close()
                if self.waiting:
                    self._send(self.waiting)
                continue
            fresh[formula] = Result(**answer)
        self.known |= fresh
        for formula, result in fresh.items():
            if not result.error:
                self.memory.put(self._name(formula), result.html)
        self.memory.save()

    def _start(self) -> None:
        command = [node(), str(HERE / 'render.js'), str(katex())]
        command.append(json.dumps({'macros': self.macros}))
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding='utf-8',
        )
        answers: queue.Queue[str | None] = queue.Queue()
        self.process, self.answers = process, answers
        threading.Thread(target=_pump, args=(process, answers), daemon=True).start()
        # Written by a thread too, because Node may not read on before we read what it has said
        self.outbox = queue.Queue()
        threading.Thread(target=_write, args=(process, self.outbox), daemon=True).start()

    def _send(self, formulas: list[Formula]) -> None:
        if not self.process:
            self._start()
        lines = [
            json.dumps({'tex': f.tex, 'marked': f.marked, 'display': f.display}) + '\n'
            for f in formulas
        ]
        self.outbox.put(''.join(lines))

    def _receive(self) -> dict[str, Any] | None:
        try:
            line = self.answers.get(timeout=PATIENCE)
        except queue.Empty:
            return None
        return json.loads(line) if line else None


def _pump(process: subprocess.Popen[str], answers: queue.Queue[str | None]) -> None:
    assert process.stdout
    try:
        for line in process.stdout:
            answers.put(line)
    except ValueError:
        pass  # closed under our hands: the build is over
    answers.put(None)


def _write(process: subprocess.Popen[str], outbox: queue.Queue[str | None]) -> None:
    assert process.stdin
    try:
        while (text := outbox.get()) is not None:
            process.stdin.write(text)
            process.stdin.flush()
    except (OSError, ValueError):
        pass  # the process is gone; whoever waits for its answer finds out
