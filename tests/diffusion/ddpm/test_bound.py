"""The bound and its terms: sections 4 to 6 of the derivation."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from tests.kit.close import agree


def zero_model(xt, t):
    return torch.zeros_like(xt)


def linear_chain(n_steps):
    """A short chain in float64, and a model that is linear in x_t and none too good."""
    beta = torch.linspace(0.05, 0.9, n_steps, dtype=torch.float64)
    diffusion = DenoiseDiffusion(zero_model, n_steps, beta=beta)
    slope, shift = (
        torch.linspace(0.9, 0.7, n_steps).double(),
        torch.linspace(0, 0.1, n_steps).double(),
    )
    return diffusion, beta, slope, shift


def reverse(t, xt, beta, slope, shift):
    """p(x_{t-1}|x_t) of that model."""
    return Normal(slope[t] * xt + shift[t], beta[t] ** 0.5)


def test_jensen():
    """-log p(x_0) is below L, by the divergence of the two posteriors over chains: all exact."""
    diffusion, beta, slope, shift = linear_chain(8)
    x0, n = torch.tensor(0.4).double(), 8
    # p(x_0): push N(0, 1) through the linear reverse steps
    mean, var = torch.tensor(0.0).double(), torch.tensor(1.0).double()
    for t in reversed(range(n)):
        mean, var = slope[t] * mean + shift[t], slope[t] ** 2 * var + beta[t]
    log_p = Normal(mean, var**0.5).log_prob(x0)
    # L: expectations of squares under q, whose moments are known
    alpha_bar = (1 - beta).cumprod(0)
    L = torch.tensor(0.0).double()
    m_prev, v_prev = x0, torch.tensor(0.0).double()
    for t in range(n):
        m, v = alpha_bar[t] ** 0.5 * x0, 1 - alpha_bar[t]
        covariance = (1 - beta[t]) ** 0.5 * v_prev
        # E (x_{t-1} - slope x_t - shift)^2
        square = (m_prev - slope[t] * m - shift[t]) ** 2
        square = square + v_prev - 2 * slope[t] * covariance + slope[t] ** 2 * v
        L = L + square / (2 * beta[t]) + 0.5 * torch.log(2 * torch.pi * beta[t])
        # E log q(x_t|x_{t-1}), minus the entropy of a Gaussian
        L = L - 0.5 * torch.log(2 * torch.pi * torch.e * beta[t])
        m_prev, v_prev = m, v
    L = L + 0.5 * (m_prev**2 + v_prev) + 0.5 * torch.log(torch.tensor(2 * torch.pi))
    assert float(-log_p) < float(L)
    # The same gap, from chains: E_q[log q(x_1..T|x_0) - log p(x_1..T|x_0)]
    chains, log_q, log_joint = forward_chains(x0, beta, slope, shift, 200_000)
    gap = (log_q - (log_joint - log_p)).mean()
    agree(gap, float(L + log_p), atol=0.02, what='L + log p(x_0) and the divergence over chains')


def forward_chains(x0, beta, slope, shift, n):
    """Chains x_0..x_T of q, with log q(x_1..T|x_0) and log p(x_0..T) of each."""
    x, chains = x0.expand(n), [x0.expand(n)]
    log_q = log_joint = torch.zeros(n, dtype=torch.float64)
    for t in range(len(beta)):
        q = Normal((1 - beta[t]) ** 0.5 * x, beta[t] ** 0.5)
        x = q.sample()
        log_q = log_q + q.log_prob(x)
        log_joint = log_joint + reverse(t, x, beta, slope, shift).log_prob(chains[-1])
        chains.append(x)
    return chains, log_q, log_joint + Normal(0.0, 1.0).log_prob(x)


def test_telescoping():
    """-log p/q of a chain, term by term forwards, equals the same with the forward steps turned
    around by Bayes' rule: for each single chain, not only on average."""
    diffusion, beta, slope, shift = linear_chain(8)
    x0 = torch.tensor(0.4).double()
    chains, log_q, log_joint = forward_chains(x0, beta, slope, shift, 100)
    alpha_bar = (1 - beta).cumprod(0)
    n = len(beta)
    # Prior term
    total = Normal(alpha_bar[-1] ** 0.5 * x0, (1 - alpha_bar[-1]) ** 0.5).log_prob(chains[n])
    total = total - Normal(0.0, 1.0).log_prob(chains[n])
    for t in range(1, n):
        mean, var = exact_posterior(x0, chains[t + 1], alpha_bar, beta, t)
        total = total + Normal(mean, var**0.5).log_prob(chains[t])
        total = total - reverse(t, chains[t + 1], beta, slope, shift).log_prob(chains[t])
    total = total - reverse(0, chains[1], beta, slope, shift).log_prob(x0)
    what = 'log q - log p of 100 chains, and term by term'
    agree(log_q - log_joint, total, atol=1e-10, rtol=1e-10, what=what)
    # and the posterior used is the one that the class computes
    t = torch.arange(1, n)
    mean, var = diffusion.q_posterior(torch.full((n - 1,), 0.4), torch.ones(n - 1), t)
    for i in range(1, n):
        m, v = exact_posterior(x0, torch.tensor(1.0).double(), alpha_bar, beta, i)
        agree(mean[i - 1], float(m), atol=1e-6, what='mean of the posterior')
        agree(var[i - 1], float(v), atol=1e-6, what='variance of the posterior')


def exact_posterior(x0, xt, alpha_bar, beta, t):
    """q(x_{t-1}|x_t, x_0) by precisions, in float64."""
    precision = (1 - beta[t]) / beta[t] + 1 / (1 - alpha_bar[t - 1])
    mean = (1 - beta[t]) ** 0.5 / beta[t] * xt + alpha_bar[t - 1] ** 0.5 / (
        1 - alpha_bar[t - 1]
    ) * x0
    return mean / precision, 1 / precision


@pytest.mark.parametrize('variance', ['beta', 'beta_tilde'])
def test_kl_is_weighted_eps_error(variance):
    """KL(q(x_{t-1}|x_t,x_0) || p(x_{t-1}|x_t)) against weight * |eps - eps_theta|^2 + constant."""
    guess = torch.randn(6, 5)
    diffusion = DenoiseDiffusion(lambda xt, t: guess, 1000, variance=variance)
    x0, eps = torch.rand(6, 5) * 2 - 1, torch.randn(6, 5)
    t = torch.tensor([1, 2, 10, 100, 500, 999])
    xt = diffusion.q_sample(x0, t, eps)
    q_mean, q_var = diffusion.q_posterior(x0, xt, t)
    p_mean, p_var, _ = diffusion.p_mean_var(xt, t)
    # Both sides in float64; the means' difference is small against the means at small t
    q = Normal(q_mean.double(), q_var.double() ** 0.5)
    p = Normal(p_mean.double(), p_var.double() ** 0.5)
    kl = kl_divergence(q, p).sum(1)
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0)
    beta_tilde = (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta[t]
    sigma2 = beta[t] if variance == 'beta' else beta_tilde
    weight = beta[t] ** 2 / (2 * sigma2 * (1 - beta[t]) * (1 - alpha_bar[t]))
    ratio = beta_tilde / sigma2
    constant = 5 / 2 * (ratio - 1 - ratio.log())
    error = ((eps - guess).double() ** 2).sum(1)
    expected = weight * error + constant
    agree(kl, expected, atol=1e-6, rtol=2e-4, what='divergence, and weight × error + constant')
    if variance == 'beta_tilde':
        assert not constant.any()


def test_weight_that_l_simple_drops():
    """The numbers quoted in section 6."""
    d = DenoiseDiffusion(zero_model, 1000)
    weight = d.beta**2 / (2 * d.sigma2 * d.alpha * d.one_minus_alpha_bar)
    found = [float(weight[t - 1]) for t in (1, 2, 10)]
    agree(found, [0.50, 0.27, 0.07], atol=0.005, what='weight at steps 1, 2 and 10')
    late = weight[99:]
    found = [float(late.min()), float(late.max())]
    agree(found, [0.005, 0.010], atol=5e-4, what='smallest and largest weight from step 100 on')


def test_prior_term_is_as_small_as_the_paper_says():
    """L_T for x ~ U[-1, 1] is about 1e-5 bits/dim (section 4 of the paper)."""
    d = DenoiseDiffusion(zero_model, 1000)
    x = torch.linspace(-1, 1, 2001)
    mean, var = d.q_xt_x0(x[:, None], torch.full((2001,), 999))
    q = Normal(mean.double(), var.double() ** 0.5)
    bits = kl_divergence(q, Normal(0.0, 1.0)).mean() / torch.log(torch.tensor(2.0))
    agree(bits, 9.7e-6, atol=0, rtol=0.01, what='L_T in bits per dimension')
