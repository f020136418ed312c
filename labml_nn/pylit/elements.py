r"""
# Elements: the HTML of the pages

All HTML of a page is in `templates`, where Jinja escapes what is not marked as HTML: whole pages
and their parts in files of their own, and what stands in a sentence, as links and pictures do, as
macros of `elements.html`. Two things are no templates: a coloured word of [code](highlight.py), of
which a page has thousands, and the [tags of an author](markup.py), which are read and not written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labml_nn.cli.pages import environment

TEMPLATES = Path(__file__).with_name('templates')


def fill(template: str, /, **values: Any) -> str:
    """A template with its values. What is HTML already is given as `Markup`."""
    return environment(TEMPLATES).get_template(template).render(values)


def element(name: str, /, *values: Any, **named: Any) -> str:
    """A macro of `elements.html` with its values. What is HTML already is given as `Markup`."""
    macros = environment(TEMPLATES).get_template('elements.html').module
    # A text, and no `Markup`: it would escape whatever is put beside it
    return str(getattr(macros, name)(*values, **named))
