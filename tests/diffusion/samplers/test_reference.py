"""The same chains as the schedulers of `diffusers`: same model, start, steps and injected noise."""

import warnings

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers import DDIM, PNDM, Ancestral, DPMSolver, Heun, UniPC
from labml_nn.diffusion.schedules import linear
from labml_nn.diffusion.targets import TARGETS, diffusion_of, zero_terminal_snr
from tests.kit.models import ALPHA_BAR, model
from tests.kit.peers import diffusers

SHAPE = (4, 3, 2, 2)
SEED = 11
steps = pytest.mark.parametrize('n_steps', [10, 20, 50])


def scheduler(name, n_steps, at=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        made = getattr(diffusers(), name)(
            num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, beta_schedule='linear',
            **options,
        )  # fmt: skip
        made.set_timesteps(n_steps) if at is None else made.set_timesteps(timesteps=at)
    return made


def theirs(scheduler, draws=False, **options):
    """Every x_t of a chain by their scheduler; `draws` hands it the noise of our seed."""
    noise = SeededNoise(SHAPE[0], SEED)
    xt = noise(SHAPE, 'cpu')
    chain = []
    for t in scheduler.timesteps:
        eps = model(xt, torch.full((SHAPE[0],), int(t)))
        if draws:
            options['variance_noise'] = noise(SHAPE, 'cpu')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            xt = scheduler.step(eps, t, xt, **options).prev_sample
        chain.append(xt)
    return chain


def agree(sampler, chain, atol=1e-4):
    ours = [xt for _, xt, _ in sampler.chain(*sampler.start(SHAPE, SEED))]
    for a, b in zip(ours[::-1], chain[::-1], strict=False):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)
    assert len(chain) >= len(ours)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(model, 1000)


@steps
# Not `linspace`: theirs steps back by T // n, although the steps then lie elsewhere
@pytest.mark.parametrize('spacing', ['leading', 'trailing'])
@pytest.mark.parametrize('clip', [True, False])
@pytest.mark.parametrize('eta', [0.0, 0.5, 1.0])
def test_ddim(diffusion, n_steps, spacing, clip, eta):
    reference = scheduler(
        'DDIMScheduler', n_steps, timestep_spacing=spacing, clip_sample=clip, set_alpha_to_one=True
    )
    sampler = DDIM(diffusion, n_steps, spacing=spacing, clip_x0=clip, eta=eta)
    assert reference.timesteps.tolist() == sampler.tau[::-1]
    agree(sampler, theirs(reference, eta > 0, eta=eta, use_clipped_model_output=True))


@steps
@pytest.mark.parametrize('spacing', ['leading', 'trailing'])
@pytest.mark.parametrize('start', ['prk', 'plms'])
def test_pndm(diffusion, n_steps, spacing, start):
    reference = scheduler(
        'PNDMScheduler', n_steps,
        timestep_spacing=spacing, skip_prk_steps=start == 'plms', set_alpha_to_one=True,
    )  # fmt: skip
    sampler = PNDM(diffusion, n_steps, spacing=spacing, clip_x0=False, start=start)
    # Theirs subtracts from one in float32, which keeps four digits at step 0; a mixture of noises
    # from far away is large there and would show it
    reference.alphas_cumprod = ALPHA_BAR
    reference.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    assert len(reference.timesteps) == sampler.n_calls
    chain = theirs(reference)
    # Where theirs has taken a look ahead it is no point of the chain: one in four, or all but one
    if start == 'prk':
        chain = chain[3:12:4] + chain[12:]
    else:
        chain = chain[1:]
    agree(sampler, chain)


@steps
@pytest.mark.parametrize('order', [1, 2])
@pytest.mark.parametrize('sde', [False, True])
def test_dpm_solver(diffusion, n_steps, order, sde):
    reference = scheduler(
        'DPMSolverMultistepScheduler', n_steps, timestep_spacing='trailing', solver_order=order,
        algorithm_type='sde-dpmsolver++' if sde else 'dpmsolver++', final_sigmas_type='zero',
    )  # fmt: skip
    sampler = DPMSolver(diffusion, n_steps, clip_x0=False, order=order, sde=sde)
    assert reference.timesteps.tolist() == sampler.tau[::-1]
    agree(sampler, theirs(reference, sde))


@steps
@pytest.mark.parametrize('order', [1, 2, 3])
def test_unipc(diffusion, n_steps, order):
    reference = scheduler(
        'UniPCMultistepScheduler', n_steps, timestep_spacing='trailing', solver_order=order,
        final_sigmas_type='zero',
    )  # fmt: skip
    sampler = UniPC(diffusion, n_steps, clip_x0=False, order=order)
    assert reference.timesteps.tolist() == sampler.tau[::-1]
    agree(sampler, theirs(reference), atol=1e-5)


@steps
@pytest.mark.parametrize('spacing', ['leading', 'linspace', 'trailing', 'karras'])
@pytest.mark.parametrize('clip', [True, False])
def test_heun(diffusion, n_steps, spacing, clip):
    sampler = Heun(diffusion, n_steps, spacing=spacing, clip_x0=clip)
    # Theirs leaves the trained levels for `karras`, so all are told where to go
    reference = scheduler('HeunDiscreteScheduler', None, sampler.tau[::-1], clip_sample=clip)
    assert len(reference.timesteps) == sampler.n_calls
    # Theirs is in the units of EDM, and starts there
    xt = SeededNoise(SHAPE[0], SEED)(SHAPE, 'cpu')
    bar_x, chain = xt * (1 + reference.sigmas[0] ** 2) ** 0.5, []
    for k, t in enumerate(reference.timesteps):
        eps = model(reference.scale_model_input(bar_x, t), torch.full((SHAPE[0],), int(t)))
        bar_x = reference.step(eps, t, bar_x).prev_sample
        # Every second call is a look ahead
        if k % 2 == 1 or k == len(reference.timesteps) - 1:
            chain.append(bar_x / (1 + reference.sigmas[k + 1] ** 2) ** 0.5)
    agree(sampler, chain)


@steps
@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
@pytest.mark.parametrize('clip', [True, False])
def test_ancestral(diffusion, n_steps, variance, clip, monkeypatch):
    reference = scheduler(
        'DDPMScheduler', n_steps, timestep_spacing='leading', clip_sample=clip,
        variance_type={'beta': 'fixed_large', 'beta_tilde': 'fixed_small'}[variance],
    )  # fmt: skip
    # Of `trailing`'s last step theirs adds noise, as it is not step 0
    sampler = Ancestral(diffusion, n_steps, spacing='leading', variance=variance, clip_x0=clip)
    noise = SeededNoise(SHAPE[0], SEED)
    noise(SHAPE, 'cpu')  # x_T
    module = 'diffusers.schedulers.scheduling_ddpm.randn_tensor'
    monkeypatch.setattr(module, lambda shape, **_: noise(shape, 'cpu'))
    agree(sampler, theirs(reference))


# ## Other targets
TARGETS_THERE = [('x0', False), ('v', False), ('x0', True), ('v', True)]
others = pytest.mark.parametrize(('target', 'zero'), TARGETS_THERE)


class Targeted:
    """The same model in another target, for both sides."""

    def __init__(self, target, zero):
        self.target = target
        self.beta = zero_terminal_snr(linear(1000)) if zero else linear(1000)
        self.diffusion = diffusion_of(self, self.beta, target=target)
        self.options = {
            'prediction_type': {'x0': 'sample', 'v': 'v_prediction'}[target],
            'trained_betas': self.beta.float().numpy(),
        }

    def __call__(self, xt, t):
        alpha_bar = (1 - self.beta).cumprod(0)[t].reshape(-1, *[1] * (xt.ndim - 1))
        a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        # What `model` guesses, from its own noise level
        x0_hat = 0.3 + 0.9 * torch.tanh(0.9 * a * (xt.double() - 0.3 * a) / s**2)
        x0_hat = x0_hat + 0.1 * torch.sin(3 * xt.double())
        eps = (xt.double() - a * x0_hat) / s
        return TARGETS[self.target].of(x0_hat, eps, a, s).to(xt.dtype)

    def theirs(self, reference, draws=False, **options):
        noise = SeededNoise(SHAPE[0], SEED)
        xt, chain = noise(SHAPE, 'cpu'), []
        for t in reference.timesteps:
            y = self(xt, torch.full((SHAPE[0],), int(t)))
            if draws:
                options['variance_noise'] = noise(SHAPE, 'cpu')
            xt = reference.step(y, t, xt, **options).prev_sample
            chain.append(xt)
        return chain


@others
@pytest.mark.parametrize('clip', [True, False])
@pytest.mark.parametrize('eta', [0.0, 1.0])
def test_ddim_of_a_target(target, zero, clip, eta):
    of = Targeted(target, zero)
    reference = scheduler(
        'DDIMScheduler', 20, timestep_spacing='trailing', clip_sample=clip, set_alpha_to_one=True,
        **of.options,
    )  # fmt: skip
    sampler = DDIM(of.diffusion, 20, clip_x0=clip, eta=eta)
    chain = of.theirs(reference, eta > 0, eta=eta, use_clipped_model_output=True)
    agree(sampler, chain)


@others
@pytest.mark.parametrize('sde', [False, True])
def test_dpm_solver_of_a_target(target, zero, sde):
    of = Targeted(target, zero)
    reference = scheduler(
        'DPMSolverMultistepScheduler', 20, timestep_spacing='trailing', solver_order=2,
        algorithm_type='sde-dpmsolver++' if sde else 'dpmsolver++', final_sigmas_type='zero',
        **of.options, rescale_betas_zero_snr=False,
    )  # fmt: skip
    if zero:
        # Theirs takes no level without end: a very large one
        reference.sigmas[0] = 1e9
    agree(DPMSolver(of.diffusion, 20, clip_x0=False, sde=sde), of.theirs(reference, sde))


@others
@pytest.mark.parametrize('clip', [True, False])
def test_ancestral_of_a_target(target, zero, clip, monkeypatch):
    of = Targeted(target, zero)
    # `leading` does not begin at T: all steps do
    reference = scheduler(
        'DDPMScheduler', 1000, timestep_spacing='leading', clip_sample=clip,
        variance_type='fixed_small', **of.options,
    )  # fmt: skip
    reference.timesteps = reference.timesteps[:40]
    sampler = Ancestral(of.diffusion, 1000, variance='beta_tilde', clip_x0=clip)
    noise = SeededNoise(SHAPE[0], SEED)
    noise(SHAPE, 'cpu')  # x_T
    module = 'diffusers.schedulers.scheduling_ddpm.randn_tensor'
    monkeypatch.setattr(module, lambda shape, **_: noise(shape, 'cpu'))
    # Where theirs believes to be at the end it adds no noise
    chain = of.theirs(reference)[:-1]
    ways = sampler.chain(*sampler.start(SHAPE, SEED))
    for (_, ours, _), there in zip(ways, chain, strict=False):
        torch.testing.assert_close(ours, there, rtol=0, atol=1e-4)


# No PNDM: theirs mixes the outputs, ours the noises, and a mixture of v is another one
@pytest.mark.parametrize('clip', [True, False])
def test_heun_of_a_target(clip):
    of = Targeted('v', False)
    sampler = Heun(of.diffusion, 20, clip_x0=clip)
    reference = scheduler(
        'HeunDiscreteScheduler', None, sampler.tau[::-1], clip_sample=clip, **of.options
    )
    xt = SeededNoise(SHAPE[0], SEED)(SHAPE, 'cpu')
    bar_x, chain = xt * (1 + reference.sigmas[0] ** 2) ** 0.5, []
    for k, t in enumerate(reference.timesteps):
        y = of(reference.scale_model_input(bar_x, t), torch.full((SHAPE[0],), int(t)))
        bar_x = reference.step(y, t, bar_x).prev_sample
        if k % 2 == 1 or k == len(reference.timesteps) - 1:
            chain.append(bar_x / (1 + reference.sigmas[k + 1] ** 2) ** 0.5)
    agree(sampler, chain)
