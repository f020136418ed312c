r"""
# Pages

Some commands write HTML: the [report](../diffusion/ddpm/report.html) of a run, a
[model in the browser](../diffusion/ddpm/web.html), and the [renderer](../pylit/index.html) all of
its pages. They fill templates, in which Jinja escapes all that is not marked as HTML. Each begins
with `templates/base.html`, which says the encoding, the policy and the title of a page.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name('templates')


@cache
def environment(folder: Path) -> 'Environment':
    r"""
    The templates of a `folder`, and those that all pages share.

    A name that a template is not given raises `jinja2.UndefinedError`: no page has a hole.
    """
    import jinja2  # which most commands do not need

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
