"""The living figures of the site, in a browser, beside the code that they are about."""

import subprocess

import pytest
import torch
from sklearn.datasets import load_digits

from labml_nn.diffusion.ddpm import DenoiseDiffusion, web
from labml_nn.diffusion.ddpm.configs import build, make_configs
from labml_nn.diffusion.ddpm.sampler import SameNoise, Sampler
from labml_nn.diffusion.ddpm.unet import AttentionBlock, Block, Downsample, Upsample
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.guidance import Guided
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
        for name in ('plane', 'forward', 'chain', 'classes', 'board', 'unet'):
            page.add_script_tag(content=find(load(ROOT), name).code().decode())
        yield page


def mixture(centres, spread=SPREAD):
    """The diffusion of a mixture of round Gaussians, for rows of points, by its score."""
    diffusion = DenoiseDiffusion(None, 1000)

    def eps_model(xt, t):
        x = xt.double().reshape(-1, 2).requires_grad_()
        a = diffusion.alpha_bar.double()[t[0]]
        parts = torch.distributions.MultivariateNormal(
            a**0.5 * torch.tensor(centres, dtype=torch.float64),
            (a * spread**2 + 1 - a) * torch.eye(2, dtype=torch.float64),
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


@pytest.mark.parametrize(
    ('steps', 'nearest'), [(7, 'dpm'), (11, 'dpm'), (30, 'pndm'), (50, 'pndm')]
)
def test_a_line_of_second_order_ends_nearest(plane, steps, nearest):
    """What the figure says of its first points is so for any noise."""
    errors = plane.evaluate(
        """async (steps) => {
          const { pathOf, apart, CENTRES } = ddpm.plane, found = [];
          for (let seed = 1; seed <= 6; seed++) {
            const end = async (name, n) => (await pathOf(name, n, seed, CENTRES))[n];
            const exact = await end('dpm', 1000), errors = {};
            for (const name of ['ddim', 'pndm', 'dpm']) {
              errors[name] = apart(await end(name, steps), exact);
            }
            found.push(errors);
          }
          return found;
        }""",
        steps,
    )
    assert [min(row, key=row.get) for row in errors] == [nearest] * 6


@pytest.mark.parametrize('w', [0, 2, -1])
def test_guided_points_are_those_of_the_guided_model(plane, w):
    classes, spread = plane.evaluate('() => [ddpm.classes.CLASSES, ddpm.classes.SPREAD]')
    got, measured = plane.evaluate(
        """(w) => ddpm.classes.pointsOf(0, w, 1)
          .then((x) => [[...x], ddpm.classes.measured(0, x)])""",
        w,
    )
    of = {-1: [*classes[0], *classes[1]], 0: classes[0]}
    of = {label: mixture(centres, spread).eps_model for label, centres in of.items()}

    def network(xt, t, label):
        rows = zip(xt.split(1), t.split(1), label.tolist(), strict=True)
        return torch.cat([of[k](x, at) for x, at, k in rows])

    diffusion = mixture(classes[0], spread)
    diffusion.eps_model = Guided(network, 0, w)
    sampler = make_sampler('dpm', diffusion, 50, clip_x0=False)
    *_, (_, want, _) = sampler.chain(*sampler.start((1, len(got)), seed=1))
    assert torch.allclose(torch.tensor(got), want[0], atol=1e-3)
    points = want.double().reshape(-1, 1, 2)

    def density(centres):
        off = points - torch.tensor(centres, dtype=torch.float64)
        return (-off.square().sum(2) / (2 * spread**2)).exp().sum(1)

    certain = density(classes[0]) / density([*classes[0], *classes[1]])
    assert measured['sure'] == pytest.approx(certain.mean().item(), rel=1e-3)
    away = points[:, 0] - points[:, 0].mean(0)
    assert measured['spread'] == pytest.approx(away.square().sum(1).mean().item() ** 0.5, rel=1e-3)


@pytest.mark.parametrize('name', ['linear', 'cosine'])
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


def test_the_noisy_steps_are_counted(plane):
    """As the page counts them; the last step of a line that ends at -6 is one."""
    count = '([name, last]) => ddpm.forward.below(ddpm.forward.barOf(name, last, 1))'
    cases = [('linear', 0), ('cosine', 0), ('own', -6), ('own', -5.5)]
    assert [plane.evaluate(count, case) for case in cases] == [231, 32, 1, 0]
    factors = [0.99995, 0.0497, 0.00635282, 0.0000492825]
    shown = plane.evaluate('(factors) => factors.map(ddpm.forward.factor)', factors)
    assert [float(text) for text in shown[1:]] == [0.0497, 0.00635, 0.0000493]


@pytest.mark.parametrize('name', ['plane', 'forward', 'classes', 'unet'])
def test_the_picture_is_what_the_figure_begins_with(plane, name):
    for later in find(load(ROOT), name).later:
        plane.add_script_tag(path=later)
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


# ## The chain
CHAIN = """async ([k, until]) => {
  const { schedule, n_steps, variance } = ddpm.packed.config;
  const network = await ddpm.run(ddpm.networkOf(ddpm.packed));
  const process = { beta: ddpm.betas[schedule](n_steps), variance };
  const chain = ddpm.chain.chainOf(process, network, 64, 3), rest = { aborted: false };
  await chain.run(() => {}, rest);
  const first = chain.steps.map((step) => ({ ...step }));
  chain.change(k, until, 5);
  await chain.run(() => {}, rest);
  const rows = (steps) => steps.map(({ before, z, eps, x0, mean, x }) =>
    [before, z, eps, x0, mean, x].map((row) => [...row]));
  return [rows(first), rows(chain.steps), first[k].weights, first[k].sigma];
}"""


def test_a_chain_is_that_of_algorithm_2(plane):
    diffusion, c = small_network(20)
    plane.add_script_tag(
        content=web.script(web.packed(diffusion.eps_model.state_dict(), c, precision='float32'))
    )
    k = 4
    first, changed, weights, sigma = plane.evaluate(CHAIN, [k, k + 1])
    first, changed = torch.tensor(first), torch.tensor(changed)
    noise = SeededNoise(1, 3)
    before = noise((1, 1, 8, 8), 'cpu')
    drawn = []

    def kept(shape, device):
        drawn.append(noise(shape, device))
        return drawn[-1]

    for i, (t, after, x0_hat) in enumerate(diffusion.p_chain(before, kept, clip_x0=True)):
        at = torch.tensor([t])
        mean, _ = diffusion.q_posterior(x0_hat, before, at)
        eps = diffusion.eps_theta(before, at).detach()
        want = torch.cat([before, drawn[i], eps, x0_hat, mean, after]).flatten(1)
        assert torch.allclose(first[i], want, atol=1e-4)
        before = after
    # Of what was changed, nothing but this noise and what comes of it
    assert torch.equal(changed[:k], first[:k])
    differs = (changed != first).flatten(2).any(2)
    assert differs[k].tolist() == [False, True, False, False, False, True]
    assert differs[k + 1 :, 0].all()
    assert not differs[k + 1 :, 1].any()
    t = torch.tensor([c.n_steps - 1 - k])
    ones, zeros = torch.ones(1, 1), torch.zeros(1, 1)
    assert weights[0] == pytest.approx(diffusion.q_posterior(ones, zeros, t)[0].item(), rel=1e-4)
    assert weights[1] == pytest.approx(diffusion.q_posterior(zeros, ones, t)[0].item(), rel=1e-4)
    assert sigma == pytest.approx(diffusion.sigma2[t].item() ** 0.5, rel=1e-4)


def small_network(n_steps):
    """A network of random weights, and its configuration."""
    c = make_configs(
        dict(image_size=8, n_channels=16, n_groups=8, n_blocks=1, ch_mults=(1, 2),
             is_attn=(False, True), n_steps=n_steps, schedule='cosine')
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        diffusion = build(c).eval()
        torch.nn.init.normal_(diffusion.eps_model.head.weight, std=0.3)
    return diffusion, c


# ## The board
@pytest.mark.parametrize(('t', 'weight'), [(50, 0.25), (200, 1), (0, 0.5)])
def test_what_lies_between_two_drawings_is_what_interpolate_finds(plane, t, weight):
    diffusion, c = small_network(200)
    plane.add_script_tag(
        content=web.script(web.packed(diffusion.eps_model.state_dict(), c, precision='float32'))
    )
    got = plane.evaluate(
        """async ([t, weight]) => {
          const { schedule, n_steps, variance } = ddpm.packed.config;
          const model = await ddpm.run(ddpm.networkOf(ddpm.packed));
          const process = { beta: ddpm.betas[schedule](n_steps), variance, model };
          const { noised, back } = await ddpm.board.between(process, ddpm.real.three,
            ddpm.real.seven, weight, t, 2, () => {}, { aborted: false });
          return [[...noised], [...back]];
        }""",
        [t, weight],
    )
    sampler = Sampler(diffusion, 1, 8, sampler='ddpm', steps=100)
    # The chain of the shorter diffusion, whose step `t / 2` is step `t` of the whole one
    shorter = Sampler(sampler.reverse.short, 1, 8)
    x1, x2 = torch.tensor(load_digits().images[[3, 7]], dtype=torch.float32)[:, None] / 8 - 1
    want = shorter.interpolate(x1, x2, weight, t // 2, seed=2)
    assert torch.allclose(torch.tensor(got[1]), want.flatten(), atol=1e-3)
    noise = SameNoise(1, 2)
    mixed = ((1 - weight) * x1 + weight * x2)[None]
    if t:
        eps = noise(mixed.shape, 'cpu')
        mixed = diffusion.q_sample(mixed, torch.tensor([t - 1]), eps)
    assert torch.allclose(torch.tensor(got[0]), mixed.flatten(), atol=1e-5)


def test_what_is_drawn_at_the_edge_is_lost_at_250_and_comes_back_at_50(plane):
    (weights,) = find(load(ROOT), 'board').later
    plane.add_script_tag(path=weights)
    cross = [1.0 if i % 9 == 0 or i in range(7, 57, 7) else -1.0 for i in range(64)]
    back = plane.evaluate(
        """async (cross) => {
          const { schedule, n_steps, variance } = ddpm.packed.config;
          const model = await ddpm.run(ddpm.networkOf(ddpm.packed));
          const process = { beta: ddpm.betas[schedule](n_steps), variance, model };
          const x = Float32Array.from(cross), rest = { aborted: false }, made = [];
          for (const t of [50, 250, 700]) {
            const ends = [];
            for (const one of [x, ddpm.real.seven]) {
              const made = await ddpm.board.between(process, one, one, 0, t, 0, () => {}, rest);
              ends.push([...made.back]);
            }
            made.push(ends);
          }
          return made;
        }""",
        cross,
    )
    back, drawn = torch.tensor(back).unflatten(-1, (8, 8)), torch.tensor(cross).view(8, 8) > 0
    little, some, much = back[:, 0]
    assert (little[drawn] > 0).float().mean() > 0.8
    corners = (slice(None, None, 7), slice(None, None, 7))
    assert some[corners].max() < 0
    # Inside, about half of it is kept
    inside = some[1:-1, 1:-1][drawn[1:-1, 1:-1]] > 0
    assert 0.5 < inside.float().mean() < 0.9
    # And in the end it is one picture, whatever was drawn
    assert (much - back[2, 1]).abs().mean() < 0.04


# ## The network
def test_the_drawing_of_the_network_is_its_form(plane):
    """Each box stands for a module, on the level of its resolution, and takes what that takes."""
    c = make_configs(
        dict(image_size=16, n_channels=16, n_groups=8, n_blocks=2, ch_mults=(1, 3, 4),
             is_attn=(False, True, True))
    )  # fmt: skip
    network = build(c).eps_model
    kinds = {Block: 'block', Downsample: 'halve', Upsample: 'double', torch.nn.Conv2d: 'conv'}
    inputs, sides, want = {}, {}, {}

    def seen(key, module, x, out):
        inputs[key], sides[key] = x[0].shape[1], out.shape[2]
        attends = isinstance(getattr(module, 'attention', None), AttentionBlock)
        want[key] = 'attention' if attends else kinds[type(module)]

    for key, module in network.named_modules():
        if isinstance(module, Block | Downsample | Upsample) or key in ('stem', 'head'):
            module.register_forward_hook(lambda m, x, out, key=key: seen(key, m, x, out))
    network(torch.zeros(1, 1, 16, 16), torch.tensor([0]))
    boxes = plane.evaluate(
        '(config) => ddpm.net.boxesOf(config)',
        {'ch_mults': c.ch_mults, 'is_attn': c.is_attn, 'n_blocks': c.n_blocks},
    )
    assert {box['name']: box['kind'] for box in boxes} == want
    widths = {'x': 1}
    for box in boxes:
        name = box['name']
        assert sum(widths[other] for other in box['from']) == inputs[name], name
        module = network.get_submodule(name)
        widths[name] = (module.residual.conv1 if isinstance(module, Block) else module).out_channels
        # What doubles the image stands on the level that it comes from
        assert 16 >> (box['level'] - (box['kind'] == 'double')) == sides[name], name


def test_the_types_of_the_scripts():
    if not TSC.exists():
        needed('typescript (run `npm ci` in tests/pylit)')
    command = ['node', TSC, '-p', ROOT / 'docs' / 'live']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
