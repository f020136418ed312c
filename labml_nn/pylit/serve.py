r"""
# Serve: write, save, see

A page in the browser follows the file in the editor. No site is written to disk: a page is made
when it is asked for, and when a file is saved, the browser hears of it through a stream of events
and asks again. It stays where it was scrolled to. When a source cannot be rendered, the page shows
what is wrong and where, and never an older state that looks right.

> The server is for one person. It listens on this machine only, answers only requests to
> `127.0.0.1` or `localhost` (another site's script cannot ask through a name of its own), and knows
> no files but those of the site.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import threading
import time
import traceback
import webbrowser
from collections.abc import Callable, Collection
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from markupsafe import Markup

from . import claims, layout, project, scripts
from .elements import fill
from .problems import Mistakes, Refusal, as_text
from .request import Request
from .site import Memo, Site

HOST = '127.0.0.1'
# How often the times of the files are looked at: a glance costs a millisecond
GLANCE = 0.05
# A folder that has changed twice in a tick of the clock looks as if it had done so once
TICK = 10**9
WATCHED = {*project.SUFFIXES, *scripts.LANGUAGES, '.svg', '.png', '.jpg', '.css', '.po'}
# Folders that hold none of it, and much else
MADE = {'__pycache__', 'node_modules'}
TYPES = {
    '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png',
    '.woff2': 'font/woff2', '.xml': 'application/xml', '.jpg': 'image/jpeg', '.gif': 'image/gif',
    '.webp': 'image/webp', '.jpeg': 'image/jpeg',
}  # fmt: skip
PICTURE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LIVE = '/-/live.js'
EVENTS = '/-/events'
SCRIPT = """(() => {
  const key = `pylit-scroll ${location.pathname}`;
  const kept = sessionStorage.getItem(key);
  if (kept) scrollTo({ top: Number(kept), behavior: 'instant' });
  sessionStorage.removeItem(key);
  const show = (text) => {
    let pane = document.getElementById('pylit-wrong');
    if (!pane) {
      pane = document.createElement('pre');
      pane.id = 'pylit-wrong';
      pane.setAttribute('role', 'alert');
      pane.style.cssText = 'position:fixed;inset:auto 0 0 0;max-height:60vh;z-index:99;' +
        'padding:1rem;background:#2a1214;color:#ffd9d6;white-space:pre-wrap;' +
        'border-top:3px solid #e5484d';
      document.body.append(pane);
    }
    pane.textContent = text;
  };
  // Written anew in its window, a page is there sooner than one that is loaded again. A figure that
  // a reader has started would go on beside the new one
  const anew = async (version) => {
    sessionStorage.setItem(key, String(scrollY));
    if (globalThis.pylit?.living) return location.reload();
    try {
      const text = await (await fetch(location.href)).text();
      events.close();
      window.pylitVersion = version;
      document.open();
      document.write(text);
      document.close();
    } catch {
      location.reload();
    }
  };
  const events = new EventSource('/-/events');
  events.onmessage = (event) => {
    const { version, error } = JSON.parse(event.data);
    if (error) return show(error);
    if (window.pylitVersion === undefined) window.pylitVersion = version;
    if (version === window.pylitVersion) return document.getElementById('pylit-wrong')?.remove();
    anew(version);
  };
})();
"""


class Live:
    """The site as it is now, and what is wrong with it."""

    def __init__(self, request: Request):
        self.request = request
        self.memo = Memo()
        self.site: Site | None = None
        # The page that was asked for last, which is the one that the author looks at
        self.looked_at = 'index.html'
        self.error = ''
        self.version = 0
        self.changed = threading.Condition()
        # One file is made at a time: formulas go through one process
        self.making = threading.Lock()
        self.took = 0.0
        self.times = Times(WATCHED)
        self.stopped = False

    def build(self) -> None:
        """Read what has changed, and make the page that is looked at."""
        begun = time.perf_counter()
        with self.making:
            site, error = _attempt(self._read)
        with self.changed:
            self.error = error
            if site:
                self.site = site
                self.version += 1
            self.took = time.perf_counter() - begun
            self.changed.notify_all()

    def _read(self) -> Site:
        site = Site(self.request, self.memo)
        site.read()
        site.problems.raise_errors()
        site.file(self.looked_at)
        site.problems.raise_errors()
        site.memory.forget()
        return site

    def file(self, name: str) -> tuple[bytes | None, str]:
        """A file of the site, made when it is asked for; or why it cannot be made.

        For a file that does not exist it gives neither.
        """
        with self.making:
            data, error = _attempt(lambda: self._file(name))
            # The page shows its mistakes in their places, and the browser shows the list of them
            wrong = error or as_text(sorted(self.site.problems.errors) if self.site else ())
        if wrong:
            with self.changed:
                self.error = wrong
                self.changed.notify_all()
        return data, error

    def _file(self, name: str) -> bytes | None:
        if not self.site:
            raise Refusal(self.error)
        if name.endswith('.html'):
            self.looked_at = name
        return self.site.file(name)

    def lost(self) -> bytes:
        """What is shown for an address that does not exist."""
        assert self.site
        with self.making:
            return self.site.lost('/')

    def watch(self) -> None:
        """Build again whenever a file has another time than before."""
        seen = self._times()
        while not self.stopped:
            time.sleep(GLANCE)
            times = self._times()
            if times != seen:
                seen = times
                self.build()
                print(
                    f'built in {self.took * 1000:.0f} ms{": " + self.error if self.error else ""}'
                )

    def _times(self) -> dict[str, int]:
        request, config = self.request, self.request.config
        # Catalogues and the sources of figures are watched too, though they are not pages
        folders = (config.locale, config.figures, config.live)
        report = request.report or config.root / claims.REPORT
        return self.times.of(*request.paths, report, *(config.root / name for name in folders))

    def close(self) -> None:
        self.stopped = True
        if self.memo.typesetter:
            self.memo.typesetter.close()
        with self.changed:
            self.changed.notify_all()


class Times:
    """When the files below some paths were written. A folder is listed when it has changed."""

    def __init__(self, suffixes: Collection[str]):
        self.suffixes = suffixes
        # By folder: when it was changed, and what of it is looked at
        self.listed: dict[str, tuple[int, list[str]]] = {}

    def of(self, *paths: Path) -> dict[str, int]:
        found: dict[str, int] = {}
        waiting = [str(path) for path in paths]
        while waiting:
            path = waiting.pop()
            # A file may be gone between two glances
            with suppress(OSError):
                about = os.stat(path)
                if stat.S_ISDIR(about.st_mode):
                    waiting += self._inside(path, about.st_mtime_ns)
                else:
                    found[path] = about.st_mtime_ns
        return found

    def _inside(self, folder: str, changed: int) -> list[str]:
        known, inside = self.listed.get(folder, (0, []))
        if known != changed:
            with os.scandir(folder) as entries:
                inside = [entry.path for entry in entries if self._counts(entry)]
            if time.time_ns() - changed > TICK:
                self.listed[folder] = changed, inside
        return inside

    def _counts(self, entry: os.DirEntry[str]) -> bool:
        if entry.is_dir(follow_symlinks=False):
            return entry.name[0] != '.' and entry.name not in MADE
        return os.path.splitext(entry.name)[1] in self.suffixes


T = TypeVar('T')


def _attempt(make: Callable[[], T]) -> tuple[T | None, str]:
    """What is made, or what is wrong: the server outlives whatever a source brings about."""
    try:
        return make(), ''
    except Mistakes as mistakes:
        return None, as_text(mistakes.problems)
    except Refusal as refusal:
        return None, str(refusal)
    except Exception:
        return None, f'a fault of pylit, not of the source:\n{traceback.format_exc()}'


# ## Answering
class Handler(BaseHTTPRequestHandler):
    """Files of the site, one script and one stream."""

    live: Live
    protocol_version = 'HTTP/1.1'
    # An answer goes out as one, and waits for nobody: a head by itself would be acknowledged first
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        host = self.headers.get('Host', '').rpartition(':')[0] or self.headers.get('Host', '')
        if host not in (HOST, 'localhost'):
            return self._send(403, 'text/plain', b'not for this host\n')
        if self.headers.get('Sec-Fetch-Site') == 'cross-site':
            return self._send(403, 'text/plain', b'not for another site\n')
        # Names that are not UTF-8 are asked for byte by byte
        path = unquote(urlsplit(self.path).path, errors='surrogateescape')
        if path == EVENTS:
            return self._events()
        if path == LIVE:
            return self._send(200, TYPES['.js'], SCRIPT.encode())
        name = path.lstrip('/')
        if name == '' or name.endswith('/'):
            name += 'index.html'
        # A name and no path: nothing outside the site can be asked for
        data, error = self.live.file(name)
        if data is None and error:
            return self._send(500, TYPES['.html'], _fault_page(error))
        if data is None:
            wanted = name.endswith('.html') or '.' not in name.rpartition('/')[2]
            if wanted:
                return self._send(404, TYPES['.html'], _with_reload(self.live.lost()))
            return self._send(404, 'text/plain', b'no such file\n')
        kind = TYPES.get(Path(name).suffix, 'application/octet-stream')
        return self._send(200, kind, _with_reload(data) if name.endswith('.html') else data)

    def _send(self, status: int, kind: str, data: bytes) -> None:
        # What has not changed is not sent again; a page has, or nobody would ask for it
        tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
        same = status == 200 and self.headers.get('If-None-Match') == tag
        page = kind == TYPES['.html'] or status != 200
        self.send_response(304 if same else status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', '0' if same else str(len(data)))
        self.send_header('Cache-Control', 'no-store' if page else 'no-cache')
        if not page:
            self.send_header('ETag', tag)
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Cross-Origin-Resource-Policy', 'same-origin')
        if kind == TYPES['.svg']:
            # Opened by itself, a picture is a page, and its scripts are those of the site
            self.send_header('Content-Security-Policy', PICTURE)
        self.end_headers()
        if self.command != 'HEAD' and not same:
            self.wfile.write(data)

    def _events(self) -> None:
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Cache-Control', 'no-store')
        self.send_header('Cross-Origin-Resource-Policy', 'same-origin')
        self.end_headers()
        self.close_connection = True
        if self.command == 'HEAD':
            return
        live, sent = self.live, None
        try:
            while not live.stopped:
                now = (live.version, live.error)
                text = json.dumps({'version': now[0], 'error': now[1]})
                # A comment now and then finds out whether anyone still listens
                self.wfile.write((f'data: {text}\n\n' if now != sent else ':\n\n').encode())
                self.wfile.flush()
                sent = now
                with live.changed:
                    if (live.version, live.error) == sent:
                        live.changed.wait(timeout=5)
        except OSError:
            pass  # the page was closed

    def log_message(self, *arguments: Any) -> None:
        """Requests are not logged."""


def _with_reload(data: bytes) -> bytes:
    policy = layout.POLICY.encode()
    data = data.replace(policy, policy + b"; connect-src 'self'", 1)
    script = f'<script defer src="{LIVE}"></script>\n</head>'.encode()
    return data.replace(b'</head>', script, 1)


def _fault_page(error: str) -> bytes:
    shown = fill('fault.html', title='pylit', policy=Markup(layout.POLICY), message=error)
    return _with_reload(shown.encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who leaves before the answer is written is no fault of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def start(request: Request, port: int) -> tuple[Server, Live]:
    """Build once, and be ready to answer."""
    if not 0 <= port <= 65535:
        raise Refusal(f'port {port}: give one from 1 to 65535, or 0 for any that is free')
    live = Live(request)
    live.build()
    handler = type('Handler', (Handler,), {'live': live})
    try:
        server = Server((HOST, port), handler)
    except OSError as error:
        live.close()
        raise Refusal(f'port {port}: {error.strerror}') from None
    return server, live


def run(request: Request, port: int, browse: bool) -> int:
    """Serve until Ctrl-C."""
    server, live = start(request, port)
    address = f'http://{HOST}:{server.server_address[1]}/'
    try:
        print(f'{address}  (Ctrl-C ends)', flush=True)
        if live.error:
            print(live.error, flush=True)
        threading.Thread(target=live.watch, daemon=True).start()
        if browse:
            webbrowser.open(address)
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        pass
    finally:
        live.close()
        server.server_close()
    return 0
