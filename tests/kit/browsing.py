"""Pages in a browser, and everything about them that must not happen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from labml_nn.pylit import serve
from tests.kit.sites import ROOT

AXE = ROOT / 'tests/pylit/node_modules/axe-core/axe.min.js'
# What axe finds, and what sticks out of the window; to be evaluated in a page
VIOLATIONS = """async () => {
  const options = { resultTypes: ['violations'], preload: false,
    rules: { 'target-size': { enabled: true } } };
  const found = await axe.run({ exclude: ['.katex-html'] }, options);
  return found.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3)]);
}"""
STICKING_OUT = """() => [...document.querySelectorAll('main p, main h1, main h2, main h3, main li, main .note, main .code')]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => e.outerHTML.slice(0, 80))"""  # noqa: E501


class Visit:
    """A page, and everything about it that must not happen."""

    def __init__(self, browser: Any, url: str, **options: Any):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.home = url.rpartition('/')[0] if url.startswith('http') else 'file://'
        self.page.on('console', lambda m: self.wrong.append(f'console: {m.text}'))
        self.page.on('pageerror', lambda e: self.wrong.append(f'error: {e}'))
        self.page.on('requestfailed', self._failed)
        self.page.on('request', self._request)
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective))"  # noqa: E501
        )
        self.page.goto(url)

    def _failed(self, request: Any) -> None:
        # The stream of events ends when the page does, and so does what a reader goes on without
        if not request.url.endswith(serve.EVENTS) and request.failure != 'net::ERR_ABORTED':
            self.wrong.append(f'failed: {request.url}')

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.home, 'data:')):
            self.wrong.append(f'request: {request.url}')


@contextlib.contextmanager
def visit(browser: Any, url: str, **options: Any) -> Iterator[Any]:
    seen = Visit(browser, url, **options)
    try:
        yield seen.page
        assert seen.wrong == [], seen.wrong
    finally:
        seen.context.close()
