"""One table of defaults: what a paper has or was measured, the words of the page, the signature."""

import inspect
import re

import pytest

from labml_nn.diffusion import guidance, learned_variance, samplers, schedules
from labml_nn.diffusion.ddpm import DenoiseDiffusion, coding, likelihood, metrics, sampler
from labml_nn.diffusion.ddpm import ema as averages
from labml_nn.diffusion.ddpm import unet as network
from labml_nn.diffusion.ddpm.configs import Configs
from labml_nn.diffusion.ddpm.utils import linear_beta
from labml_nn.diffusion.samplers import contract, ddim, dpm_solver, pndm, unipc
from labml_nn.evaluation import inception_score, precision_recall
from tests.kit.sites import ROOT

# Said once, of all samplers
PLAINLY = r'Every sampler takes 20 steps with `trailing` unless told otherwise'
# Of, name, default; words of the page, as a pattern; where it is from
TABLE = [
    (linear_beta, 'first', 1e-4, 'ddpm/__init__', r'from \$10\^\{-4\}\$ to', 'DDPM, section 4'),
    (linear_beta, 'last', 0.02, 'ddpm/__init__', r'linearly .* to \$0\.02\$\.', 'DDPM, section 4'),
    (DenoiseDiffusion, 'variance', 'beta', 'ddpm/__init__', r"'beta' \(CIFAR-10\)", 'DDPM, 3.2'),
    (schedules.cosine, 'offset', 0.008, 'schedules', r's = 0\.008', 'improved DDPM, 3.2'),
    (schedules.cosine, 'max_beta', 0.999, 'schedules', r'0\.999 is the most', 'improved DDPM, 3.2'),
    (learned_variance.hybrid_loss, 'weight', 0.001, 'learned_variance', r'\\lambda = 0\.001',
     'improved DDPM, 3.1'),
    (averages.EMA, 'decay', 0.9999, 'ddpm/ema', r"the paper's is 0\.9999", 'DDPM, appendix B'),
    (averages.EMA, 'warmup', True, 'ddpm/ema', 'So the window grows with the run', 'its page'),
    (network.UNet, 'n_channels', 128, 'ddpm/unet', '3 → 128', 'DDPM, appendix B'),
    (network.UNet, 'ch_mults', (1, 2, 2, 2), 'ddpm/unet', '128 → 256 with attention', 'DDPM, B'),
    (network.UNet, 'is_attn', (False, True, False, False), 'ddpm/unet', 'attention at 16 × 16',
     'DDPM, appendix B'),
    (network.UNet, 'n_blocks', 2, 'ddpm/unet', 'two blocks at each level: 128', 'DDPM, appendix B'),
    (network.UNet, 'dropout', 0.1, 'ddpm/unet', 'dropout', 'DDPM, appendix B, CIFAR-10'),
    (likelihood.bound, 'n_levels', 256, 'ddpm/likelihood', '256 for 8 bits', 'DDPM, 3.3'),
    (likelihood.bound, 'first', 'beta_tilde', 'ddpm/likelihood', r'borrows \$\\tilde\\beta_2',
     "the authors' code"),
    (likelihood.bound, 'clip_x0', False, 'ddpm/likelihood', 'clip_x0', 'DDPM, algorithm 2'),
    (guidance.Guided, 'scale', 0.0, 'guidance', 'guidance is 0 unless asked for', 'its page'),
    *[
        (sampler, name, default, 'samplers/__init__', PLAINLY, 'measured')
        for sampler in samplers.SAMPLERS.values()
        for name, default in (('n_steps', 20), ('spacing', 'trailing'))
    ],
    (samplers.DDIM, 'clip_x0', True, 'samplers/contract', 'clip_x0: bool = True', "authors' code"),
    (ddim.DDIM, 'eta', 0.0, 'samplers/ddim', r'eta = 0', 'DDIM'),
    (ddim.DDIM.invert, 'n_iterations', 1, 'samplers/ddim', r'The\s+paper has 1', 'DDIM'),
    (dpm_solver.DPMSolver, 'order', 2, 'samplers/dpm_solver', 'second order, 2M', '2M'),
    (dpm_solver.DPMSolver, 'sde', False, 'samplers/__init__', r'DPM-Solver\+\+ without noise',
     'measured'),
    (unipc.UniPC, 'order', 2, 'samplers/unipc', 'default of two guesses', 'diffusers'),
    (pndm.PNDM, 'start', 'plms', 'samplers/pndm', "`start='plms'`, the default", 'PNDM'),
    (samplers.Ancestral, 'variance', None, 'samplers/ancestral', 'for fewer steps than all',
     'DDIM, table 1'),
    (sampler.Sampler, 'sampler', 'dpm', 'ddpm/sampler', '20 steps of', 'measured'),
    (sampler.Sampler, 'clip_x0', True, 'ddpm/sampler', 'Clipping is on here', "authors' code"),
    (sampler.Sampler.interpolate, 't_', 500, 'ddpm/sampler', 'figure 8 of the paper', 'DDPM, 4.4'),
    (inception_score.inception_score, 'n_splits', 10, '../evaluation/inception_score', 'ten parts',
     'Salimans et al.'),
    (precision_recall.precision_recall, 'k', 3, '../evaluation/precision_recall', 'k = 3',
     'Kynkäänniemi et al.'),
]  # fmt: skip


@pytest.mark.parametrize(
    ('of', 'name', 'default', 'page', 'words', 'source'),
    TABLE, ids=[f'{row[0].__qualname__}-{row[1]}' for row in TABLE],
)  # fmt: skip
def test_signature_and_page(of, name, default, page, words, source):
    assert source
    assert inspect.signature(of).parameters[name].default == default
    text = (ROOT / 'labml_nn' / 'diffusion' / f'{page}.py').read_text(encoding='utf-8')
    assert re.search(words, text), f'{page} does not say {words}'


def test_numbers_that_have_a_name():
    assert contract.DEFAULT_STEPS == samplers.DEFAULT_STEPS == 20
    assert learned_variance.WEIGHT == 0.001
    assert schedules.MAX_BETA == 0.999
    assert (metrics.K, metrics.SPLITS, metrics.COMPARABLE) == (3, 10, 10_000)
    assert coding.BANDS == (1 / 2, 1 / 4, 1 / 10, 1 / 100)
    assert Configs().p_uncond == 0.1
    assert sampler.FAST == 'dpm'


@pytest.mark.parametrize('name', samplers.SAMPLERS)
def test_by_its_name_only_ancestral_sampling_takes_all_steps(name):
    page = ROOT / 'labml_nn' / 'diffusion' / 'samplers' / '__init__.py'
    words = r'chosen by its name, as `--sampler ddpm`, ancestral sampling takes all \$T\$ steps'
    assert re.search(words, page.read_text(encoding='utf-8'))
    made = samplers.make_sampler(name, DenoiseDiffusion(lambda xt, t: xt, 1000))
    assert made.n_steps == (1000 if name == 'ddpm' else 20)
