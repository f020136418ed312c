"""What is asked is found: over all of the text, in three languages, and by any spelling."""

from __future__ import annotations

import json
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from labml_nn.pylit import search
from labml_nn.pylit.config import load, read_toml
from labml_nn.pylit.formulas import node
from labml_nn.pylit.problems import Mistakes
from labml_nn.pylit.site import Request, Site
from tests.kit.sites import ROOT, project, render, site

HERE = Path(__file__).parent
PROGRAM = ROOT / 'labml_nn' / 'pylit' / 'static' / 'search.js'
LANGUAGES = ('en', 'zh', 'ja')


def ask(folder: Path, questions: list[str], language: str = 'en') -> list[list[dict[str, Any]]]:
    """The hits of each question over the scripts in a folder, by the search's own program."""
    job = {
        'program': str(PROGRAM),
        'text': str(folder / ('' if language == 'en' else language) / search.TEXT),
        'code': str(folder / search.CODE),
        'source': '' if language == 'en' else str(folder / search.TEXT),
        'language': language,
        'questions': questions,
    }
    done = subprocess.run(
        [node(), str(HERE / 'questions.cjs')],
        input=json.dumps(job), capture_output=True, text=True, check=False, encoding='utf-8',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    hits: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return hits


def said(pieces: list[tuple[str, bool]]) -> str:
    """A title or a line with what is lit in brackets."""
    return ''.join(f'[{text}]' if lit else text for text, lit in pieces)


# ## This site
@pytest.fixture(scope='module')
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of the search of this project, in its three languages."""
    pytest.importorskip('babel')
    folder = tmp_path_factory.mktemp('ours')
    made = Site(Request([ROOT / 'labml_nn'], load(ROOT / 'labml_nn')))
    made.read()
    names = [search.TEXT, *(f'{code}/{search.TEXT}' for code in LANGUAGES[1:]), search.CODE]
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(made.file(name) or b'')
    made.close()
    return folder


@lru_cache(maxsize=1)
def asked() -> dict[str, list[dict[str, Any]]]:
    return read_toml(HERE / 'questions.toml')


def answers(url: str, wanted: list[str]) -> bool:
    """Whether a hit is one of the places: a page, or the id of a section without its number."""
    page, _, anchor = url.partition('#')
    ids = {re.sub(r'^\d+-', '', text) for text in (anchor, re.sub(r'-\d+$', '', anchor))}
    places = (place.partition('#') for place in wanted)
    return any(page == where and (not name or name in ids) for where, _, name in places)


@pytest.mark.parametrize('language', LANGUAGES)
@pytest.mark.parametrize(('kind', 'least'), [('question', 58), ('further', 16)])
def test_questions_find_their_answers(ours: Path, language: str, kind: str, least: int) -> None:
    """Of 60 questions 58, among the first three; and of 20 that the ranking was not made for."""
    questions = asked()[kind]
    assert len(questions) == {'question': 60, 'further': 20}[kind]
    found = ask(ours, [question[language] for question in questions], language)
    missed = [
        (question[language], [hit['url'] for hit in hits[:3]])
        for question, hits in zip(questions, found, strict=True)
        if not any(answers(hit['url'], question['at']) for hit in hits[:3])
    ]
    assert len(questions) - len(missed) >= least, missed


@pytest.mark.parametrize('language', LANGUAGES[1:])
@pytest.mark.parametrize(('kind', 'least'), [('question', 57), ('further', 16)])
def test_english_questions_lead_to_translated_sections(
    ours: Path, language: str, kind: str, least: int
) -> None:
    """Who reads Chinese or Japanese asks in English too, and for words that only English has."""
    questions = asked()[kind]
    found = ask(ours, [question['en'] for question in questions], language)
    missed = [
        (question['en'], [hit['url'] for hit in hits[:3]])
        for question, hits in zip(questions, found, strict=True)
        if not any(answers(hit['url'], question['at']) for hit in hits[:3])
    ]
    assert len(questions) - len(missed) >= least, missed


def test_english_prose_is_found_beside_its_translation(tmp_path: Path) -> None:
    pytest.importorskip('babel')
    po = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    po += 'msgid "The walrus sleeps."\nmsgstr "海象睡觉。"\n\nmsgid "Sea"\nmsgstr "海"\n'
    files = {
        'pyproject.toml': '[tool.pylit]\nlanguages = ["zh"]\n', 'docs/locale/zh.po': po,
        'src/a.py': '# # Sea\n#\n# The walrus sleeps.\nx = 1\n\n# A penguin.\ny = 2\n',
    }  # fmt: skip
    folder = project(tmp_path, files)
    made = render(folder, 'src')
    for name in (search.TEXT, f'zh/{search.TEXT}', search.CODE):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(made[name], encoding='utf-8')
    # No file is larger for it: the text of the English pages is asked for
    assert 'walrus' not in made[f'zh/{search.TEXT}']
    (english,), (chinese,), (heading,), (both,) = ask(
        folder, ['walrus sleeps', '海象', 'sea', 'penguin'], 'zh'
    )
    assert english['url'] == chinese['url'] == heading['url'] == 'a.html#sea'
    assert said(english['title']) == '海'
    assert said(english['context']) == 'The [walrus] [sleeps].'
    # What has no translation stands there once
    assert said(both['context']) == 'A [penguin].'


def test_every_answer_is_a_place_of_the_site(ours: Path) -> None:
    """A question whose answer has moved is mended here, and does not just count as missed."""
    text = (ours / search.TEXT).read_text('utf-8')
    pages, *_ = json.loads(f'[{text.removeprefix("pylit.index(").rstrip()[:-1]}]')
    there = [f'{url}#{entry[0]}' for url, _, entries in pages for entry in entries]
    for question in [*asked()['question'], *asked()['further']]:
        assert any(answers(url, question['at']) for url in there), question['at']


@pytest.mark.parametrize('language', LANGUAGES)
def test_every_hit_has_a_title_and_nothing_shows_tex(ours: Path, language: str) -> None:
    words = ['noise', 'alpha_bar', 'step', 'x0', 'self', 'ε', 'torch', 'def', 'loss', 'variance']
    for hits in ask(ours, words, language):
        assert hits
        for hit in hits:
            assert said(hit['title']).strip('[]'), hit['url']
            shown = said(hit['title']) + hit['where']
            assert not re.search(r'\\[a-z]+|\$|_\{|\^\{', shown), shown
            # The mark that a formula leaves in the text
            assert not re.search('[\ue000-\uf8ff]', shown + said(hit['context'])), hit


def test_nothing_is_cut(ours: Path) -> None:
    """Every word of every note of this site and every line of its code is in the scripts."""
    made = site(ROOT, 'labml_nn/diffusion/ddpm')
    made.read()
    found = [made.full(outline) for outline in made.shown()]
    made.close()
    text = (ours / search.TEXT).read_text('utf-8')
    code = json.loads((ours / search.CODE).read_text('utf-8').strip()[len('pylit.code(') : -1])
    lines = {line for rows in code for row in rows for line in row.split('\n')}
    for page in found:
        for note in page.notes:
            for token in note.tokens:
                if token.type == 'inline':
                    for child in token.children or ():
                        if child.type == 'text' and not re.search('[\ue000{]', child.content):
                            assert (
                                json.dumps(child.content.strip(), ensure_ascii=False)[1:-1] in text
                            )
        for section in page.sections:
            assert {line.text.strip() for line in section.code} - {''} <= lines


# ## Any site
PAGE = r'''"""
# A page about $\bar\alpha_t$

The mathematics of the Fréchet distance. It holds (eq. 12), without naïveté.
"""


# ## What remains {#rest}
#
# An EMA of the weights, after Jensen.
#
# ### How much noise
#
# The noise is drawn; see
#
#     python -m noisy --steps 5
class Keeper:
    # The share $\bar\alpha_t$
    alpha_bar: float = 0.5

    def q_sample(self, x0, n_steps=10):
        # Somewhere $\hat x_0$ is guessed
        weirdName = x0
        return weirdName


def helper(grad_clip): ...
'''
LONG = '# # Long\n#\n# ' + 'filler ' * 500 + 'zebra\nx = 1\n'
CONFIG = r"""
[tool.pylit]
synonyms = [["moving average", "EMA"], ["half precision", "fp16"]]
[tool.pylit.glossary]
x0_hat = { tex = '\hat x_0', names = ["x0_hat", "guess"], meaning = "the guess of the image" }
"""


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('small')
    project(folder, {'pyproject.toml': CONFIG, 'src/page.py': PAGE, 'src/long.py': LONG})
    for name, text in render(folder, 'src').items():
        if name in (search.TEXT, search.CODE):
            (folder / name).write_text(text, encoding='utf-8')
    return folder


SPELLINGS = [
    ('frechet', 'page.html#a-page-about'),
    # More accents than a slip of the finger explains
    ('naivete', 'page.html#a-page-about'),
    ('FRÉCHET', 'page.html#a-page-about'),
    ('eq. 12', 'page.html#a-page-about'),
    ('(12)', 'page.html#a-page-about'),
    # Whole words before parts: the first text has mathEMAtics
    ('EMA', 'page.html#Keeper'),
    ('moving average', 'page.html#Keeper'),
    ('weight', 'page.html#Keeper'),
    ('weihgts', 'page.html#Keeper'),
    ('how much', 'page.html#how-much-noise'),
    ('--steps', 'page.html#how-much-noise'),
    ('zebra', 'long.html#long'),
    ('zeb', 'long.html#long'),
    (r'\bar\alpha', 'page.html#a-page-about'),
    (r'\bar{\alpha}_t', 'page.html#a-page-about'),
    ('ᾱ', 'page.html#a-page-about'),
    ('share alpha_bar', 'page.html#Keeper-1'),
    ('share ᾱₜ', 'page.html#Keeper-1'),
    ('Keeper.q_sample', 'page.html#Keeper.q_sample'),
    ('q_sample', 'page.html#Keeper.q_sample'),
    ('q sample', 'page.html#Keeper.q_sample'),
    ('--grad-clip', 'page.html#helper'),
    ('n_steps', 'page.html#Keeper.q_sample'),
    ('x0_hat', 'page.html#Keeper.q_sample-1'),
    (r'\hat{x}_0', 'page.html#Keeper.q_sample-1'),
    ('the guess of the image', 'page.html#Keeper.q_sample-1'),
    ('weirdname', 'page.html#Keeper.q_sample-1'),
    ('weird name', 'page.html#Keeper.q_sample-1'),
]


@pytest.fixture(scope='module')
def first(small: Path) -> dict[str, str]:
    """Where each of the spellings leads first."""
    questions = [question for question, _ in SPELLINGS]
    found = ask(small, questions)
    return {q: hits[0]['url'] if hits else '' for q, hits in zip(questions, found, strict=True)}


@pytest.mark.parametrize(('question', 'url'), SPELLINGS)
def test_by_any_spelling(first: dict[str, str], question: str, url: str) -> None:
    assert first[question] == url


def test_what_is_not_there_is_not_found(small: Path) -> None:
    assert ask(small, ['qqqqq', '', ' ', '\\', '²', '!?', '的']) == [[]] * 7


def test_headings_come_before_names_before_prose_before_code(tmp_path: Path) -> None:
    files = {
        'src/a.py': '# Note\nx = thing(walrus, 1)\n',
        'src/b.py': '# Words\n#\n# and among them the walrus\nx = 1\n',
        'src/c.py': '# Words\ndef walrus(): ...\n',
        'src/d.py': '# # The walrus\n#\n# More words\nx = 1\n',
    }
    folder = project(tmp_path, files)
    made = render(folder, 'src')
    for name in (search.TEXT, search.CODE):
        (folder / name).write_text(made[name], encoding='utf-8')
    (hits,) = ask(folder, ['walrus'])
    assert [hit['url'].partition('.')[0] for hit in hits] == ['d', 'c', 'b', 'a']


def test_a_line_with_the_match_lit(small: Path) -> None:
    (jensen,), (weird,), (distance,) = (
        hits[:1] for hits in ask(small, ['jensen', 'weirdName', 'frechet distance'])
    )
    assert said(jensen['title']) == 'What remains'
    assert jensen['where'] == 'A page about ᾱₜ'
    assert said(jensen['context']) == 'An EMA of the weights, after [Jensen].'
    assert weird['code']
    assert said(weird['context']) == '[weirdName] = x0'
    assert said(distance['context']).startswith('The mathematics of the [Fréchet] [distance].')


def test_a_group_of_synonyms_has_two_words_or_more(tmp_path: Path) -> None:
    for said_, wrong in (('["x"]', 'list of lists'), ('[["x"]]', 'two words'), ('[[1, 2]]', 'str')):
        project(tmp_path, {'pyproject.toml': f'[tool.pylit]\nsynonyms = {said_}\n'})
        with pytest.raises(Mistakes, match=wrong):
            load(tmp_path)
