"""The tables of `make bench` and `make faults` are pages, linked, and say how they were made."""

import argparse
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch

from tests import faults

ROOT = Path(__file__).parents[3]
DDPM = ROOT / 'labml_nn' / 'diffusion' / 'ddpm'
LINKS = {
    'benchmarks': ['diffusion/ddpm/experiment.py'],
    'benchmarks_amx': ['compute/precision.py'],
    'faults': [
        'diffusion/ddpm/experiment.py',
        'runs/run.py',
        'runs/checkpoint.py',
    ],
}


@pytest.mark.parametrize('name', LINKS)
def test_each_table_is_there_and_linked(name):
    """It is kept with the sources: a link to it is never dead."""
    text = (DDPM / f'{name}.md').read_text(encoding='utf-8')
    assert re.match(r'---\nsummary: .+\n---\n\n# ', text)
    assert '**Command** `python' in text
    assert '**Machine**' in text
    for page in LINKS[name]:
        assert f'{name}.html)' in (ROOT / 'labml_nn' / page).read_text(encoding='utf-8')


@pytest.mark.parametrize('amx', [False, True])
def test_the_benchmarks_stand_once_on_the_page_that_is_written(monkeypatch, amx):
    monkeypatch.setattr(sys, 'path', [str(ROOT / 'docs' / 'bench'), *sys.path])
    report = runpy.run_path(str(ROOT / 'docs' / 'bench' / 'report.py'))
    name = 'benchmarks_amx.md' if amx else 'benchmarks.md'
    assert report['PAGES'][amx] == DDPM / name
    assert not list((ROOT / 'docs').rglob(name))
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: {'amx_bf16': amx})
    a = argparse.Namespace(
        device='cpu', threads=2, repeats=3, short=False, peer_python=None, labml=None
    )
    head = report['head'](a)
    page = report['PAGES'][amx].read_text(encoding='utf-8').splitlines()[: len(head)]
    # But for the machine and the versions
    for written, line in zip(head, page, strict=True):
        assert written.split('** ')[0] == line.split('** ')[0]


def test_every_fault_is_in_the_table_and_was_survived():
    text = faults.PAGE.read_text(encoding='utf-8')
    rows = re.findall(r'^\| ([^|]+?) \| (\d+) \| (\d+) \| (\d+) \|', text, re.MULTILINE)
    often = [often for _, often, _ in faults.FAULTS]
    assert len(rows) == len(often)
    for (name, tried, survived, lost), times in zip(rows, often, strict=True):
        # A kill before the first checkpoint has nothing to lose
        assert int(tried) == int(survived) >= (times if 'kill' not in name else times - 10), name
        assert int(lost) <= faults.SAVE_EVERY, name


def test_the_page_of_the_faults_is_made_of_their_outcomes():
    outcomes = [faults.Outcome('flood', tried=3, survived=2, lost=1, remark='wet')]
    assert '| flood | 3 | 2 | 1 | wet |' in faults.page(outcomes, seed=7, seconds=240)
    assert '--seed 7`: 4 minutes' in faults.page(outcomes, seed=7, seconds=240)
