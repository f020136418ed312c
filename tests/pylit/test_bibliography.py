"""What a page cites: BibTeX, citations in prose, the list at the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labml_nn.pylit.bibliography import parse
from labml_nn.pylit.check import run
from labml_nn.pylit.config import load
from labml_nn.pylit.problems import Problems
from labml_nn.pylit.site import Request, Site
from tests.kit.sites import ROOT, project, site

BIB = r"""
% a comment
@string{jmva = "Journal of Analysis"}
@comment{nothing @article{hidden, year = 1}}

@article{dowson1982,
  author = "D. C. Dowson and B. V. Landau",
  title = {The {F}r{\'e}chet distance {of \& for} normals},
  journal = jmva # {, 12}, year = 1982, doi = {https://doi.org/10.1016/0047-259X(82)90077-X},
}
@inproceedings{ho2020, author = {Jonathan Ho and Jain, Ajay and Abbeel, Pieter},
  title={Denoising Diffusion Probabilistic Models}, booktitle = {NeurIPS}, year = 2020,
  eprint = {2006.11239}, archivePrefix = "arXiv"}
@misc(kyn2019, author = {Kynk{\"a}{\"a}nniemi, Tuomas and Ludwig van der Berg}, year = {2019},
  title = {Precision --- and recall}, url = {https://www.example.org/x})
@misc{many2000, author = {Lukasz {\L}ukasz and others}, title = {A}, year = 2000}
"""


def test_names_and_titles_of_bibtex() -> None:
    problems = Problems()
    found = parse(BIB, 'x.bib', problems)
    assert problems == []
    assert {key: entry.authors for key, entry in found.items()} == {
        'dowson1982': 'Dowson and Landau',
        'ho2020': 'Ho et al.',
        'kyn2019': 'Kynkäänniemi and van der Berg',
        'many2000': 'Łukasz et al.',
    }
    assert found['dowson1982'].reference == (
        'Dowson, D. C., Landau, B. V. (1982). The Fréchet distance of & for normals. '
        'Journal of Analysis, 12.'
    )
    assert found['kyn2019'].reference.endswith('Precision — and recall.')
    assert [entry.link for entry in found.values()] == [
        ('https://doi.org/10.1016/0047-259X(82)90077-X', 'doi:10.1016/0047-259X(82)90077-X'),
        ('https://arxiv.org/abs/2006.11239', 'arXiv:2006.11239'),
        ('https://www.example.org/x', 'example.org/x'),
        ('', ''),
    ]
    assert found['ho2020'].line == 11


@pytest.mark.parametrize(
    ('text', 'line', 'message'),
    [
        ('@misc{a, title = {x}}\n@misc{a, title = {y}}', 2, "the key 'a' is taken"),
        ('\n@misc{a, title = {x', 2, 'a brace or a quote that is never closed'),
        ('@misc{a, title {x}}', 1, 'a: a field is missing, or the entry is not closed'),
        ('@misc{, title = {x}}', 1, 'an entry without a key'),
        ('@misc{a, title = }', 1, 'a field without a value'),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int, message: str) -> None:
    problems = Problems()
    parse(text, 'x.bib', problems)
    assert [(p.path, p.line, p.message) for p in problems] == [('x.bib', line, message)]


CONFIG = '[tool.pylit]\nbibliography = "docs/x.bib"\n'


def page(folder: Path, text: str, config: str = CONFIG) -> str:
    files = {'page.md': f'# Page\n\n{text}\n', 'docs/x.bib': BIB, 'pyproject.toml': config}
    made = site(project(folder, files), 'page.md')
    shown = made.render()['page.html'].decode()
    made.close()
    return shown


def words(shown: str) -> str:
    body = shown[shown.index('</h1>') :]
    return re.sub(r'<[^>]*>', '', body.partition('<section class="row prose references"')[0])


@pytest.mark.parametrize(
    ('written', 'said'),
    [
        ('So [@ho2020].', 'So (Ho et al., 2020).'),
        (
            'So [@ho2020, eq. 12; @dowson1982].',
            'So (Ho et al., 2020, eq.\N{NO-BREAK SPACE}12; Dowson and Landau, 1982).',
        ),
        ('As @ho2020 show', 'As Ho et al. (2020) show'),
        ('A mail to me@ho2020.org, [@ho2020]', 'A mail to me@ho2020.org, (Ho et al., 2020)'),
        ('[@ho2020](https://example.org/), a link', '@ho2020, a link'),
    ],
)
def test_citations(tmp_path: Path, written: str, said: str) -> None:
    assert said in words(page(tmp_path, written))


def test_a_citation_leads_to_the_list_and_the_list_to_the_paper(tmp_path: Path) -> None:
    shown = page(tmp_path, 'See [@kyn2019], [@ho2020] and @ho2020.')
    title = (
        'Ho, J., Jain, A., Abbeel, P. (2020). Denoising Diffusion Probabilistic Models. NeurIPS.'
    )
    assert '<a class="cite" href="#ref-ho2020">Ho et al., 2020</a>' in shown
    items = re.findall(r'<li id="(ref-\w+)">(.*?)</li>', shown)
    assert [anchor for anchor, _ in items] == ['ref-ho2020', 'ref-kyn2019']
    link = (
        '<a href="https://arxiv.org/abs/2006.11239" rel="noopener noreferrer">arXiv:2006.11239</a>'
    )
    assert items[0][1] == f'{title} {link}'
    # It stands among the contents
    assert re.search(r'<li class="d2"><a href="#pylit-references">References</a></li>', shown)


def test_two_that_are_cited_alike_have_letters(tmp_path: Path) -> None:
    one = '@misc{%s, author = {Song, %s and %s and Xu, Q.}, title = {%s}, year = %s}\n'
    bib = (
        one % ('late', 'Yang', 'Ma, B.', 'Score', 2021)
        + one % ('early2021', 'Jiaming', 'Meng, C.', 'Implicit', 2021)
        + one % ('other', 'Yang', 'Ma, B.', 'Later', 2023)
    )
    found = parse(bib, 'x.bib', Problems())
    years = {key: entry.year for key, entry in found.items()}
    # In the order of the list, which goes by given names too
    assert years == {'late': '2021b', 'early2021': '2021a', 'other': '2023'}
    text = '# Page\n\nSee [@late], and @early2021.\n'
    folder = project(tmp_path, {'page.md': text, 'docs/x.bib': bib, 'pyproject.toml': CONFIG})
    made = Site(Request([folder / 'page.md'], load(folder)))
    shown = re.sub(r'<[^>]*>', '', made.render()['page.html'].decode())
    assert 'See (Song et al., 2021b), and Song et al. (2021a).' in shown
    assert 'Song, J., Meng, C., Xu, Q. (2021a).' in shown


def test_without_a_bibliography_these_are_words(tmp_path: Path) -> None:
    shown = page(tmp_path, 'Thanks to @user2019, and [@ho2020].', '')
    assert 'Thanks to @user2019, and (@ho2020).' in re.sub(r'<[^>]*>', '', shown)
    assert 'References' not in shown


def test_unknown_keys_are_errors_and_unused_entries_notes(tmp_path: Path) -> None:
    files = {'page.md': '# Page\n\nSee [@ho2021].\n', 'docs/x.bib': BIB, 'pyproject.toml': CONFIG}
    folder = project(tmp_path, files)
    found = run(Request([folder / 'page.md'], load(folder)))
    (error,) = found.errors
    assert (error.line, error.column) == (3, 6)
    assert error.message == "'ho2021' is not in docs/x.bib: did you mean 'ho2020'?"
    notes = [p for p in found if p.severity == 'note']
    assert ('docs/x.bib', 11, "'ho2020' is cited nowhere") in [
        (p.path, p.line, p.message) for p in notes
    ]
    assert found.serious == [error]


def test_a_bibliography_that_is_not_there(tmp_path: Path) -> None:
    from labml_nn.pylit.problems import Refusal

    with pytest.raises(Refusal, match=r"bibliography = 'docs/y.bib'"):
        page(tmp_path, 'See [@ho2020].', CONFIG.replace('x.bib', 'y.bib'))


def test_our_own_bibliography() -> None:
    problems = Problems()
    found = parse((ROOT / 'docs' / 'references.bib').read_text('utf-8'), 'x.bib', problems)
    assert problems == []
    for entry in found.values():
        assert entry.families, entry.key
        assert re.fullmatch(r'(19|20)\d\d[a-z]?', entry.year), entry.key
        assert entry.year in entry.key, entry.key
        lasting = ('https://arxiv.org/abs/', 'https://doi.org/', 'https://jmlr.org/papers/')
        assert entry.link[0].startswith(lasting), entry.key
        number = re.fullmatch(r'arXiv:(\d\d)(\d\d)[.]\d{5}', entry.link[1])
        # What is on arXiv was there in the year before it was printed, or in the same
        assert not number or 0 <= int(entry.year[:4]) - 2000 - int(number[1]) <= 1, entry.key
