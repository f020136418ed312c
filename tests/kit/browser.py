"""The browser that pages are looked at with, and what to do where there is none."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
REQUIRED = os.environ.get('CI') == 'true'
FLAGS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update',
]  # fmt: skip


def needed(what: str) -> None:
    if REQUIRED:
        pytest.fail(f'{what} is missing, and the tests of the pages are required here')
    pytest.skip(f'{what} is missing')


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    if not CHROMIUM:
        needed('chromium')
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        needed('playwright')
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()
