"""The forward process: section 1 of the derivation."""

import warnings

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion, gather
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from tests.kit.close import agree


def zero_model(xt, t):
    return torch.zeros_like(xt)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(zero_model, 1000)


def test_closed_form_is_t_single_steps(diffusion):
    """Mean and variance of x_t by recursion over single steps, against q_xt_x0, at every t."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    x0 = torch.tensor([[-1.0], [0.3], [1.0]])
    mean, var = x0.double(), torch.zeros(3, 1, dtype=torch.float64)
    for t in range(1000):
        # x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) eps, with eps independent of x_{t-1}
        mean, var = (1 - beta[t]) ** 0.5 * mean, (1 - beta[t]) * var + beta[t]
        got_mean, got_var = diffusion.q_xt_x0(x0, torch.full((3,), t))
        agree(got_mean.double(), mean, atol=1e-6, what='mean of x_t at every t')
        agree(got_var.double(), var, atol=0, rtol=1e-6, what='variance of x_t at every t')


def test_steps_keep_unit_variance(diffusion):
    """If x_0 has unit variance, so has every x_t."""
    mean_coefficient, var = diffusion.q_xt_x0(torch.ones(1000, 1), torch.arange(1000))
    torch.testing.assert_close(mean_coefficient**2 + var, torch.ones(1000, 1), rtol=0, atol=1e-6)


def test_q_sample_takes_the_root_of_the_variance(diffusion):
    x0, eps = torch.rand(5, 3, 4, 4) * 2 - 1, torch.randn(5, 3, 4, 4)
    t = torch.tensor([0, 10, 100, 500, 999])
    mean, var = diffusion.q_xt_x0(x0, t)
    torch.testing.assert_close(diffusion.q_sample(x0, t, eps), mean + var.sqrt() * eps)


def test_q_sample_draws_its_own_noise(diffusion):
    x = diffusion.q_sample(torch.zeros(20_000, 1), torch.full((20_000,), 300))
    expected = float(diffusion.one_minus_alpha_bar[300])
    assert abs(float(x.var()) - expected) < 4 * expected * (2 / 20_000) ** 0.5


def test_signal_left_at_the_end(diffusion):
    """sqrt(alpha_bar_T) = 0.0064, from alpha_bar_T = 4.036e-5."""
    last = float(diffusion.alpha_bar[-1])
    agree(last, 4.036e-5, atol=0, rtol=1e-3, what='alpha_bar at the last step')
    agree(last**0.5, 0.0064, atol=5e-5, what='share of the image that is left')
    with pytest.warns(ShortChainWarning, match=r'100 steps .* leave 60% of the image'):
        DenoiseDiffusion(zero_model, 100)


def test_constants_keep_their_digits_at_the_first_steps(diffusion):
    """1 - alpha_bar would lose four digits if it were subtracted in float32."""
    exact = 1 - (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)
    stored = diffusion.one_minus_alpha_bar.double()
    assert float(((stored - exact) / exact).abs().max()) < 1e-7
    subtracted = (1 - diffusion.alpha_bar).double()
    assert float(((subtracted - exact) / exact).abs().max()) > 1e-5


def test_shapes_of_any_rank():
    consts = torch.arange(10.0)
    t = torch.tensor([3, 9])
    assert gather(consts, t).shape == (2, 1, 1, 1)
    assert gather(consts, t, ndim=2).tolist() == [[3.0], [9.0]]
    assert gather(consts, t, ndim=1).tolist() == [3.0, 9.0]


@pytest.mark.parametrize('t', [-1, 10])
def test_steps_outside_the_chain_are_refused(t):
    with pytest.raises(RuntimeError, match='out of bounds'):
        gather(torch.arange(10.0), torch.tensor([t]))


def test_any_schedule():
    beta = torch.full((50,), 0.2)
    diffusion = DenoiseDiffusion(zero_model, 50, beta=beta)
    torch.testing.assert_close(diffusion.alpha_bar, 0.8 ** torch.arange(1, 51).float())


@pytest.mark.parametrize(
    ('n_steps', 'beta', 'message'),
    [
        (3, torch.tensor([0.1, 0.2]), r'beta of shape \[3\].*got shape \[2\]'),
        (2, torch.tensor([[0.1, 0.2]]), r'got shape \[1, 2\]'),
        (2, torch.tensor([0.1, 1.0]), 'nothing is left of the image at the last step'),
        (2, torch.tensor([1.0, 0.1]), 'strictly between 0 and 1: got 0.1 to 1'),
        (2, torch.tensor([0.0, 0.5]), 'strictly between 0 and 1'),
        (2, torch.tensor([float('nan'), 0.5]), 'strictly between 0 and 1'),
        (0, None, 'at least one'),
    ],
)
def test_what_is_no_schedule_is_refused(n_steps, beta, message):
    with pytest.raises(ValueError, match=message):
        DenoiseDiffusion(zero_model, n_steps, beta=beta)


@pytest.mark.parametrize(
    ('n_steps', 'alpha_bar', 'message'),
    [
        (0, [], 'at least one step'),
        (2, [0.5, 0.4, 0.3], r'alpha_bar of shape \[2\].*got shape \[3\]'),
        (2, [0.5, 0.5], 'must fall from step to step'),
        (2, [1.0, 0.5], 'from below 1'),
        (2, [0.5, 0.0], 'nothing is left of the image at the last step'),
    ],
)
def test_products_that_are_no_schedule_are_refused(n_steps, alpha_bar, message):
    with pytest.raises(ValueError, match=message):
        DenoiseDiffusion(zero_model, n_steps, alpha_bar=torch.tensor(alpha_bar))


def test_constants_follow_the_module_and_stay_out_of_its_state():
    model = torch.nn.Linear(1, 1)
    diffusion = DenoiseDiffusion(model, 1000)
    assert set(diffusion.state_dict()) == {'eps_model.weight', 'eps_model.bias'}
    assert diffusion.to('meta').beta.device.type == 'meta'
    assert DenoiseDiffusion(model.to('meta'), 1000).beta.device.type == 'meta'


def test_no_warning_for_the_defaults():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        DenoiseDiffusion(zero_model, 1000)


def test_mismatched_noise_is_refused(diffusion):
    with pytest.raises(ValueError, match=r'eps has shape \[1, 2\], the images have \[4, 2\]'):
        diffusion.q_sample(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), torch.zeros(1, 2))
