"""Broken versions of the mathematics, each with the tests that must notice it.

    python -m tests.mutants            all of them
    python -m tests.mutants --quick    one for each test that a page names
    python -m tests.mutants bayes      those whose test or file has this in its name

A mutant is a text in one file and another in its place, and the tests that pages name for it. Every
one of these has to fail on it, alone: a test that passes on a broken formula proves nothing. The
tables are the other files of this folder; the command is `run.py`. What no table names is broken by
`general.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`old` occurs exactly once in `file`; each of `tests` fails when `new` stands there."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def mutants(file: str, *rows: tuple[str, str, str]) -> list[Mutant]:
    """The rows of one file: what stands there, what is put there, and tests, by spaces."""
    return [Mutant(file, old, new, tuple(tests.split())) for old, new, tests in rows]


# Tests that pages name and that no broken formula can fail, and why
WITHOUT = {
    'diffusion/ddpm/test_fast.py::test_no_step_waits_for_the_device': (
        'no formula: that no step waits, on a device that has no numbers'
    ),
    **dict.fromkeys(
        (
            'test_faults.py::test_killed_at_random_moments',
            'test_faults.py::test_the_whole_is_a_success',
        ),
        'no formula: it kills processes and damages files itself, for minutes',
    ),
}


def table() -> list[Mutant]:
    """All of them, in the order of the files."""
    from tests.mutants import (
        derivation,
        distillation,
        dit,
        evaluation,
        exercises,
        flow,
        holes,
        pages,
        preconditioning,
        samplers,
        score,
        sde,
        targets,
    )  # fmt: skip

    parts = (
        derivation, score, samplers, targets, flow, preconditioning, distillation, sde, dit,
        evaluation, exercises, holes, pages,
    )  # fmt: skip
    return [mutant for part in parts for mutant in part.MUTANTS]
