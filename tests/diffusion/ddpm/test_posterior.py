"""One step back: sections 2 and 3 of the derivation."""

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from tests.kit.close import agree


def zero_model(xt, t):
    return torch.zeros_like(xt)


@pytest.fixture
def diffusion():
    return DenoiseDiffusion(zero_model, 1000)


@pytest.mark.parametrize('t', [1, 2, 10, 100, 500, 999])
@pytest.mark.parametrize(('x0', 'xt'), [(0.7, -0.2), (-1.0, 1.5), (0.0, 0.0)])
def test_is_bayes_rule(diffusion, t, x0, xt):
    """Multiply the two densities on a grid of x_{t-1}, and take the mean and the variance."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0)
    mean, var = diffusion.q_posterior(torch.tensor([x0]), torch.tensor([xt]), torch.tensor([t]))
    std = float(var) ** 0.5
    grid = torch.linspace(float(mean) - 12 * std, float(mean) + 12 * std, 20_001).double()
    log_q = -((xt - (1 - beta[t]) ** 0.5 * grid) ** 2) / (2 * beta[t])
    log_q -= (grid - alpha_bar[t - 1] ** 0.5 * x0) ** 2 / (2 * (1 - alpha_bar[t - 1]))
    weight = torch.softmax(log_q, 0)
    grid_mean = (weight * grid).sum()
    grid_var = (weight * (grid - grid_mean) ** 2).sum()
    agree(float(mean), float(grid_mean), atol=1e-6, what='mean')
    agree(float(var), float(grid_var), atol=0, rtol=1e-6, what='variance')


def test_before_the_first_step_is_the_image(diffusion):
    x0, xt = torch.randn(4, 3), torch.randn(4, 3)
    mean, var = diffusion.q_posterior(x0, xt, torch.zeros(4, dtype=torch.int64))
    assert torch.equal(mean, x0)
    assert not var.any()


def test_composes_with_the_forward_process(diffusion):
    """Averaging the posterior over q(x_t|x_0) gives q(x_{t-1}|x_0) back, at every t."""
    t, ones = torch.arange(1, 1000), torch.ones(999, 1)
    # Coefficients of x_0 and x_t, by linearity
    of_x0, var = diffusion.q_posterior(ones, 0 * ones, t)
    of_xt, _ = diffusion.q_posterior(0 * ones, ones, t)
    mean_t, var_t = diffusion.q_xt_x0(ones, t)
    mean_prev, var_prev = diffusion.q_xt_x0(ones, t - 1)
    torch.testing.assert_close(of_x0 + of_xt * mean_t, mean_prev, rtol=0, atol=1e-6)
    torch.testing.assert_close(var + of_xt**2 * var_t, var_prev, rtol=1e-5, atol=0)


def test_optimal_variance_of_unit_data(diffusion):
    """The variance of q(x_{t-1}|x_t) is beta: the posterior's, and what is not known of x_0."""
    t, ones = torch.arange(1000), torch.ones(1000, 1)
    of_x0, beta_tilde = diffusion.q_posterior(ones, 0 * ones, t)
    # For x_0 ~ N(0, 1): Var(x_0|x_t) = 1 - alpha_bar_t, and it adds to the posterior's variance
    unit = beta_tilde + of_x0**2 * diffusion.one_minus_alpha_bar[:, None]
    agree(unit[:, 0], diffusion.beta, atol=0, rtol=1e-5, what='data of unit variance, and beta')


def test_ratio_of_the_two_variances(diffusion):
    """The numbers quoted in section 3."""
    ratio = diffusion.beta_tilde / diffusion.beta
    found = [float(ratio[t - 1]) for t in (2, 10, 100)]
    agree(found, [0.45, 0.85, 0.98], atol=0.005, what='beta_tilde / beta at steps 2, 10 and 100')


def test_variance_by_name():
    assert torch.equal(
        DenoiseDiffusion(zero_model, 1000).sigma2, DenoiseDiffusion(zero_model, 1000).beta
    )
    small = DenoiseDiffusion(zero_model, 1000, variance='beta_tilde')
    assert torch.equal(small.sigma2, small.beta_tilde)
    with pytest.raises(ValueError, match="variance='large' is not known"):
        DenoiseDiffusion(zero_model, 1000, variance='large')
