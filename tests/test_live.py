"""The living figures of the site, in a browser, beside the code that they are about."""

import subprocess

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import make_sampler
from labml_nn.diffusion.schedules import SCHEDULES
from labml_nn.pylit.config import load
from labml_nn.pylit.live import find
from tests.kit.browser import chromium, needed
from tests.kit.sites import ROOT

SPREAD = 0.12  # of each place of the data in the plane
TSC = ROOT / 'tests/pylit/node_modules/typescript/bin/tsc'


@pytest.fixture(scope='module')
def plane():
    """A page with the scripts of the figure of the plane."""
    with chromium() as browser:
        page = browser.new_page()
        page.evaluate('() => { globalThis.pylit = { figures: {} } }')
        for name in ('plane', 'forward'):
            page.add_script_tag(content=find(load(ROOT), name).code().decode())
        yield page


def mixture(centres):
    """The diffusion of a mixture of round Gaussians, for rows of points, by its score."""
    diffusion = DenoiseDiffusion(None, 1000)

    def eps_model(xt, t):
        x = xt.double().reshape(-1, 2).requires_grad_()
        a = diffusion.alpha_bar.double()[t[0]]
        parts = torch.distributions.MultivariateNormal(
            a**0.5 * torch.tensor(centres, dtype=torch.float64),
            (a * SPREAD**2 + 1 - a) * torch.eye(2, dtype=torch.float64),
        )
        with torch.enable_grad():
            density = parts.log_prob(x[:, None]).logsumexp(1).sum()
            (score,) = torch.autograd.grad(density, x)
        return (-((1 - a) ** 0.5) * score).reshape(xt.shape).float()

    diffusion.eps_model = eps_model
    return diffusion


@pytest.mark.parametrize('name', ['ddpm', 'ddim', 'pndm', 'dpm'])
def test_the_paths_in_the_plane_are_those_of_the_samplers(plane, name):
    centres = plane.evaluate('() => ddpm.plane.CENTRES')
    got = plane.evaluate(
        """([name, centres]) => ddpm.plane.pathOf(name, 8, 1, centres)
          .then((rows) => rows.map((x) => [...x]))""",
        [name, centres],
    )
    sampler = make_sampler(name, mixture(centres), 8, clip_x0=False)
    xt, noise = sampler.start((1, 128), seed=1)
    want = [xt, *(xt for _, xt, _ in sampler.chain(xt, noise))]
    assert torch.allclose(torch.tensor(got), torch.cat(want), atol=1e-4)


@pytest.mark.parametrize('name', SCHEDULES)
def test_the_curves_are_those_of_the_schedules(plane, name):
    got = plane.evaluate('(name) => ddpm.forward.barOf(name, 0, 1)', name)
    want = (1 - SCHEDULES[name](1000)).cumprod(0)
    assert torch.allclose(torch.tensor(got, dtype=torch.float64), want, rtol=1e-9)


@pytest.mark.parametrize('bend', [0.2, 1, 3])
def test_a_schedule_of_ones_own_is_one(plane, bend):
    got = plane.evaluate('(bend) => ddpm.forward.barOf("own", -6, bend)', bend)
    alpha_bar = torch.tensor(got, dtype=torch.float64)
    DenoiseDiffusion(None, 1000, alpha_bar=alpha_bar)  # refuses what does not fall
    assert (alpha_bar[-1] / (1 - alpha_bar[-1])).log() == pytest.approx(-6)


@pytest.mark.parametrize('name', ['plane', 'forward'])
def test_the_picture_is_what_the_figure_begins_with(plane, name):
    drawn = plane.evaluate(
        """async (name) => {
          const root = document.createElement('div'), say = (text) => text;
          await pylit.figures[name]({ root, say, announce: say, failed: say });
          return root.querySelector('svg').innerHTML;
        }""",
        name,
    )
    for ending in ('svg', 'dark.svg'):
        assert drawn in (ROOT / f'docs/live/{name}.{ending}').read_text(encoding='utf-8')


def test_the_types_of_the_scripts():
    if not TSC.exists():
        needed('typescript (run `npm ci` in tests/pylit)')
    command = ['node', TSC, '-p', ROOT / 'docs' / 'live']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
