r"""
# Markup: HTML that was written by hand

Authors of older pages wrote `<a id="here"></a>` for an anchor, and `<kbd>` for a key. What is
harmless is rendered, and the rest is left out and said. Two layers stand between a note and its
reader. `AuthorHTML` goes through the tags of an author and keeps those of the list below. It knows
where a picture lies and which anchors are taken. Then [nh3](https://nh3.readthedocs.io) reads the
whole note as a browser would, and lets nothing through that is not on the list
[tested](test:pylit/test_prose.py::test_what_is_unsafe_is_left_out_and_said).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import NamedTuple

import nh3
from markupsafe import Markup

from .elements import element

TAGS = frozenset(
    re.findall(
        r'\w+',
        """
        a abbr article aside audio b base bdi big blockquote body br button canvas center code col
        dd del details dfn div dl dt em embed fieldset figcaption figure font footer form frame h1
        h2 h3 h4 h5 h6 head header hr html i iframe img input ins kbd label legend li link main map
        mark math meta nav noscript object ol option p picture pre q s samp script section select
        small source span strike strong style sub summary sup svg table tbody td template textarea
        tfoot th thead title tr tt u ul var video wbr
        """,
    )
)
# What can neither run, nor ask, nor cover the page
HARMLESS = frozenset(
    re.findall(
        r'\w+',
        """
        a abbr b bdi big blockquote br center code dd del details dfn div dl dt em figcaption figure
        h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub
        summary sup table tbody td tfoot th thead tr tt u ul var wbr
        """,
    )
)
ANYWHERE = frozenset({'id', 'title', 'lang', 'dir'})
ATTRIBUTES = {
    'a': {'href', 'name'},
    'img': {'src', 'alt', 'width', 'height'},
    'details': {'open'},
    'ol': {'start', 'reversed'},
    'td': {'align', 'colspan', 'rowspan'},
    'th': {'align', 'colspan', 'rowspan', 'scope'},
    **{tag: {'align'} for tag in ('p', 'div', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'tr')},
}
# Attributes that stand without a value
BARE = frozenset(
    {'open', 'reversed', 'async', 'autoplay', 'checked', 'defer', 'disabled', 'hidden'}
)
# What our own writer adds to a note
CLASSES = {
    'div': {'scroll'},
    'blockquote': {'aside', 'departure'},
    **{tag: {'untranslated', 'outdated'} for tag in ('p', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6')},
}
LEFT_OUT = 'raw HTML is not rendered'
OPENING = re.compile(
    r'\s*<(?:[!?]|/?([A-Za-z][\w-]*)(?=[\s/>]|$)((?:[^>"\']|"[^"]*"|\'[^\']*\')*))'
)


def is_html(text: str) -> bool:
    """`<b>` is HTML; `<name>` in a docstring, or `<code object g>`, is not meant to be."""
    found = OPENING.match(text)
    if not found or found[1] is None:
        return bool(found)
    without = re.sub(r'[\w:@.-]+\s*=\s*("[^"]*"|\'[^\']*\'|[^\s"\']+)', '', found[2])
    if not set(re.findall(r'[^\s/]+', without.lower())) <= BARE:
        return False
    return found[1].lower() in TAGS or '=' in found[2]


def mistake(shown: str, message: str) -> str:
    """What is wrong, marked in its place: `shown` is HTML, `message` is not."""
    return element('mistake', Markup(shown), message)


def _same(value: str) -> str:
    return value


class Picture(NamedTuple):
    """A picture as the page has it: its address, and its width and height if they are known."""

    address: str
    size: tuple[int, int] | None = None


@dataclass
class Answers:
    """What the tags of an author ask of the page. The defaults are for those who only look."""

    # The address of a link or a picture as the page has it, or nothing
    link: Callable[[str], str] = _same
    picture: Callable[[str, str], Picture] = lambda src, alt: Picture(src)
    # Whether an anchor of an author stands here
    anchor: Callable[[str], bool] = bool
    text: Callable[[str], str] = html.escape
    # An attribute as it was written
    restore: Callable[[str], str] = _same
    # HTML of our own, put back behind the sanitiser
    own: Callable[[str], str] = _same


class AuthorHTML(HTMLParser):
    """The tags of an author, without what is not harmless."""

    def __init__(self, answers: Answers | None = None):
        super().__init__(convert_charrefs=True)
        self.answers = answers or Answers()
        self.out: list[str] = []
        self.left_out: list[str] = []
        self.anchors: list[str] = []
        # Where tags lead, and whether that is a picture
        self.links: list[tuple[str, bool]] = []
        # The size of the last picture
        self.size: tuple[int, int] | None = None

    def read(self, text: str) -> str:
        self.feed(text)
        self.close()
        return ''.join(self.out)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        shown = self.get_starttag_text() or f'<{tag}>'
        if not is_html(shown):
            self.out.append(self.answers.text(shown))
        elif tag not in HARMLESS:
            self._leave_out(shown)
        else:
            kept = self._attributes(tag, attrs, shown)
            self.out.append(f'<{tag}{"".join(kept)}>')

    def handle_endtag(self, tag: str) -> None:
        if tag in HARMLESS:
            self.out.append(f'</{tag}>')
        elif tag not in TAGS:
            self.out.append(self.answers.text(f'</{tag}>'))
        else:
            self._leave_out(f'</{tag}>')

    def handle_data(self, data: str) -> None:
        # The inside of a script is not prose
        if self.cdata_elem is None:
            self.out.append(self.answers.text(data))

    def handle_comment(self, data: str) -> None:
        self.left_out.append(f'<!--{data}-->')

    def handle_decl(self, decl: str) -> None:
        self._leave_out(f'<!{decl}>')

    def unknown_decl(self, data: str) -> None:
        self._leave_out(f'<![{data}]>')

    def handle_pi(self, data: str) -> None:
        self._leave_out(f'<?{data}>')

    def _leave_out(self, shown: str) -> None:
        self.left_out.append(shown)
        marked = mistake(element('code', self.answers.restore(shown)), LEFT_OUT)
        self.out.append(self.answers.own(marked))

    def _attributes(self, tag: str, attrs: list[tuple[str, str | None]], shown: str) -> list[str]:
        kept, lost = [], False
        said = {name: self.answers.restore(value or '') for name, value in attrs}
        for name, value in said.items():
            if name not in ANYWHERE | ATTRIBUTES.get(tag, set()) or not _is_address(name, value):
                # A class belongs to a style sheet that is not here: nothing is lost without it
                lost = lost or name not in ('class', 'target', 'rel', 'loading')
            elif answer := self._value(tag, name, value, said.get('alt', '')):
                kept.append(f' {answer[0]}="{html.escape(answer[1])}"')
                if name == 'href' and (scheme(answer[1]) or answer[1].startswith('//')):
                    kept.append(' rel="noopener noreferrer"')
        if tag == 'img':
            kept += self._room(said)
        if lost:
            self._leave_out(shown)
        return kept

    def _room(self, said: dict[str, str]) -> list[str]:
        """What an author has not said of a picture's size, so that its room is kept."""
        if not self.size or not said.get('src'):
            return []
        across, down = self.size
        width, height = said.get('width', ''), said.get('height', '')
        if width.isdecimal() and height.isdecimal():
            return []
        if width.isdecimal():
            return [f' height="{max(round(int(width) * down / across), 1)}"']
        if height.isdecimal():
            return [f' width="{max(round(int(height) * across / down), 1)}"']
        if width or height:
            # Of half a column nobody knows the pixels, but the shape
            return [f' style="aspect-ratio:{across}/{down}"']
        return [f' width="{across}"', f' height="{down}"']

    def _value(self, tag: str, name: str, value: str, alt: str) -> tuple[str, str] | None:
        if name == 'id' or (tag, name) == ('a', 'name'):
            self.anchors.append(value)
            return ('id', value) if value and self.answers.anchor(value) else None
        if name in ('href', 'src'):
            self.links.append((value, name == 'src'))
        if name == 'href':
            address = self.answers.link(value)
            return (name, address) if address else None
        if name == 'src':
            address, self.size = self.answers.picture(value, alt)
            return (name, address) if address else None
        return name, value


SCHEME = re.compile(r'([a-z][a-z0-9+.-]*):')


def scheme(href: str) -> str:
    """The scheme as a browser would read it: case, blanks and control characters do not count."""
    found = SCHEME.match(re.sub(r'[\x00-\x20]|%(?:0[9ad]|20)', '', href.lower(), flags=re.I))
    return found[1] if found else ''


def _is_address(name: str, value: str) -> bool:
    if name == 'src':
        return not scheme(value) and not value.startswith('//')
    return name != 'href' or scheme(value) in ('', 'http', 'https', 'mailto')


def look(text: str) -> AuthorHTML:
    """What there is in some HTML, without a page to stand on."""
    found = AuthorHTML()
    found.read(text)
    return found


def sanitise(text: str) -> str:
    """The HTML of a note as it may reach a reader."""
    return nh3.clean(
        text,
        tags=set(HARMLESS),
        clean_content_tags={'script', 'style'},
        attributes={
            **ATTRIBUTES,
            'a': {'href', 'rel'},
            'img': {*ATTRIBUTES['img'], 'style'},
            '*': set(ANYWHERE),
        },
        # Ours: the styles of an author are left out before
        filter_style_properties={'aspect-ratio'},
        allowed_classes={tag: set(names) for tag, names in CLASSES.items()},
        url_schemes={'http', 'https', 'mailto'},
        link_rel=None,
    )
