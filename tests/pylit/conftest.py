"""The renderer needs KaTeX and no torch; in CI nothing that it needs may be missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labml_nn.pylit import formulas
from labml_nn.pylit.__main__ import main
from labml_nn.pylit.problems import Refusal
from tests.kit.browser import chromium
from tests.kit.sites import ROOT

# Not in the home folder, which the tests replace
os.environ.setdefault('PYLIT_CACHE', str(ROOT / '.pylit-cache'))


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Nothing here draws random numbers, so torch is not needed to have the same ones."""


@pytest.fixture(scope='session', autouse=True)
def katex() -> None:
    """Installed once, if it is not there yet."""
    try:
        formulas.setup()
    except Refusal as refusal:
        if os.environ.get('CI') == 'true':
            pytest.fail(str(refusal))
        pytest.skip(str(refusal))


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope='module')
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this repository."""
    out = tmp_path_factory.mktemp('real') / 'site'
    assert main(['build', str(ROOT / 'labml_nn'), '-o', str(out)]) == 0
    return out
