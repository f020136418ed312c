"""The score: densities that are known on one side, what the page says of them on the other."""

import pytest
import torch

from labml_nn.data.datasets import load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.score import Points, flow_step, langevin_step, score
from labml_nn.diffusion.ddpm.utils import around, linear_beta
from labml_nn.diffusion.samplers import DDIM
from tests.kit.gaussian import known

# What no image is: the constants, around which a model is put
BASE = DenoiseDiffusion(lambda xt, t: torch.zeros_like(xt), 1000)
STEPS = [0, 30, 200, 500, 999]


def data(n=5, *shape):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(0)).double()


def of_points(x0):
    return around(BASE, Points(BASE, x0))


def constants(i):
    """The root of alpha_bar, and 1 - alpha_bar, in float64."""
    return BASE.alpha_bar[i].double() ** 0.5, BASE.one_minus_alpha_bar[i].double()


def log_density(xt, x0, i):
    """log q(x_t|x_0) of each image of the data, `[batch, n]`, from the definition."""
    root, var = constants(i)
    normal = torch.distributions.Normal(root * x0.flatten(1), var**0.5)
    return normal.log_prob(xt.flatten(1)[:, None]).sum(2)


def noisy(x0, i):
    root, var = constants(i)
    at = torch.arange(40) % len(x0)
    eps = torch.randn(40, *x0.shape[1:], generator=torch.Generator().manual_seed(i)).double()
    return (root * x0[at] + var**0.5 * eps).requires_grad_()


def gradient(y, x):
    return torch.autograd.grad(y.sum(), x)[0]


# ## 1. The score
@pytest.mark.parametrize('i', STEPS)
def test_score_of_one_image(i):
    x0 = data(1, 3)
    root, var = constants(i)
    xt = noisy(x0, i)
    eps = (xt - root * x0) / var**0.5
    expected = gradient(log_density(xt, x0, i), xt)
    torch.testing.assert_close(-(xt - root * x0) / var, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(-eps / var**0.5, expected, rtol=1e-9, atol=1e-9)
    # The best network for one image knows its noise. The mean is of float32, and 1/var as exact
    found = score(of_points(x0), xt, torch.full((40,), i))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7 / float(var))


@pytest.mark.parametrize('i', STEPS)
def test_score_is_the_mean_of_the_images_scores(i):
    """The derivative of the log of the mixture, against -E[eps|x_t] / sqrt(1 - alpha_bar)."""
    x0 = data(5, 3)
    xt = noisy(x0, i)
    expected = gradient(log_density(xt, x0, i).logsumexp(1), xt)
    found = score(of_points(x0), xt, torch.full((40,), i))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7 / float(constants(i)[1]))


@pytest.mark.parametrize('i', STEPS)
def test_tweedie(i):
    x0 = data(5, 3)
    xt, t = noisy(x0, i), torch.full((40,), i)
    root, var = constants(i)
    s = gradient(log_density(xt, x0, i).logsumexp(1), xt)
    found = Points(BASE, x0).x0_hat(xt, t)
    torch.testing.assert_close(found, (xt + var * s) / root, rtol=1e-6, atol=1e-6)
    # and it is what DDPM calls x0_hat
    diffusion = of_points(x0)
    x0_hat = diffusion.predict_x0(xt, t, diffusion.eps_theta(xt, t))
    torch.testing.assert_close(x0_hat, found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('i', [30, 200, 500])
def test_denoising_score_matching(i):
    """Both losses, integrated over the line, differ by the same for any two networks."""
    x0 = data(4, 1)
    root, var = constants(i)
    x = torch.linspace(-8, 8, 40_001).double()
    log_q = log_density(x[:, None], x0, i)
    s = score(of_points(x0), x[:, None], torch.full((len(x),), i))[:, 0]
    of_image = -(x[:, None] - root * x0[:, 0]) / var

    def difference(s_theta):
        joint = (log_q.exp() / len(x0) * (s_theta[:, None] - of_image) ** 2).sum(1)
        marginal = log_q.exp().mean(1) * (s_theta - s) ** 2
        return torch.trapezoid(joint - marginal, x)

    one, other = difference(torch.zeros_like(x)), difference(3 * torch.sin(x) - x)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert one > 0.1  # and what differs is not nothing


# ## 2. Why not one jump?
@pytest.mark.parametrize('i', STEPS)
def test_weights_are_bayes_rule(i):
    x0 = data(5, 1, 2, 2)
    xt = noisy(x0, i)
    found = Points(BASE, x0).weights(xt, torch.full((40,), i))
    expected = log_density(xt, x0, i).softmax(1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_the_mean_of_images_has_their_type(dtype):
    """The weights are of float64, whose small ones would be 0 in float32."""
    x0 = data(5, 1, 2, 2).to(dtype)
    points, t = Points(BASE, x0), torch.full((5,), 100)
    assert points.weights(x0, t).dtype == torch.float64
    assert points.x0_hat(x0, t).dtype == points(x0, t).dtype == dtype


@pytest.mark.parametrize(
    ('t', 'count'),
    [(100, 1.0), (200, 2.7), (300, 36), (400, 286), (500, 877), (750, 1744)],
)
def test_how_many_digits_count(t, count):
    """As docs/figures/data/score.py draws them: the same noise, the median over all digits."""
    digits = load_dataset('digits', '', 8, 1)
    x0 = torch.stack([digits[i][0] for i in range(len(digits))])
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(t - 1))
    each = torch.full((len(x0),), t - 1)
    w = Points(BASE, x0).weights(BASE.q_sample(x0, each, eps), each)
    found = float(torch.special.entr(w).sum(1).exp().median())
    assert found == pytest.approx(count, abs=0.05 if t <= 200 else 0.5)


# ## 3. What the noise on the way back is for
def test_a_step_back_in_terms_of_the_score():
    diffusion = of_points(data(5, 3).float())
    xt = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    t = torch.tensor([1, 5, 50, 300, 700, 999])
    alpha, beta = diffusion.alpha[t][:, None], diffusion.beta[t][:, None]
    expected = (xt + beta * score(diffusion, xt, t)) / alpha**0.5 + beta**0.5 * z
    found = diffusion.p_sample(xt, t, z=z)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_step_back_is_flow_and_langevin():
    """What the two leave out is of second order: a step half as large leaves out a quarter."""
    xt = torch.tensor([[-1.5], [0.2], [2.0]]).double()
    z = torch.tensor([[0.3], [-1.0], [0.5]]).double()
    t = torch.ones(3, dtype=torch.int64)
    left = []
    for beta in (0.04, 0.02, 0.01):
        diffusion = known(torch.tensor([0.5, beta]).double(), 0.5, 'beta')
        s = score(diffusion, xt, t)
        step = xt + flow_step(diffusion, xt, t, s) + langevin_step(s, diffusion.beta[1], z)
        left.append((diffusion.p_sample(xt, t, z=z) - step).abs().max())
    assert left[0] / left[1] == pytest.approx(4, rel=0.1)
    assert left[1] / left[2] == pytest.approx(4, rel=0.1)


def test_a_chain_of_means_collapses():
    """All three ways back are linear for Gaussian data: one number each, from noise of size 1."""
    diffusion = known(linear_beta(1000), 0.5, 'beta')
    one = torch.ones(1, 1)
    means, var = one, one
    for i in reversed(range(1000)):
        t = torch.tensor([i])
        means = diffusion.p_sample(means, t, z=torch.zeros(1, 1))
        # The variance of Algorithm 2: that before, times the step's factor squared, and its noise
        factor, noise, _ = diffusion.p_mean_var(one, t)
        var = factor**2 * var + (noise if i else 0)
    assert float(means) == pytest.approx(0.0016, abs=5e-5)
    assert float(var) ** 0.5 == pytest.approx(0.501, abs=5e-4)
    flow = DDIM(diffusion, 1000, clip_x0=False).sample(one[:, :, None, None])
    assert float(flow) == pytest.approx(0.498, abs=1e-3)


def test_langevin_forgets():
    """For N(0, v): the mean shrinks by 1 - delta/2v, the variance stays but for delta squared."""
    v, delta, n = 0.7, 0.05, 100_000
    zero = torch.zeros(1).double()
    step = langevin_step(-torch.tensor([2.0]).double() / v, delta, zero)
    assert float(2 + step) == pytest.approx(2 * (1 - delta / (2 * v)), rel=1e-12)
    x = v**0.5 * torch.randn(n, generator=torch.Generator().manual_seed(0)).double()
    z = torch.randn(n, generator=torch.Generator().manual_seed(1)).double()
    after = x + langevin_step(-x / v, delta, z)
    exact = v + delta**2 / (4 * v)
    assert float(after.var()) == pytest.approx(exact, rel=0.02)


# ## 4. A perfect network would remember
def test_the_best_network_returns_the_training_images():
    x0 = data(6, 1, 4, 4).float().clamp(-1, 1)
    x = of_points(x0).sample((30, 1, 4, 4), seed=0)
    distance = (x.flatten(1)[:, None] - x0.flatten(1)).abs().amax(2)
    assert distance.min(1).values.max() < 1e-3
    assert len(distance.argmin(1).unique()) == 6


def test_no_model_has_a_smaller_loss_than_the_best():
    """A little more or less of its answer is worse."""
    x0 = data(5, 1, 2, 2).float().clamp(-1, 1)
    best = Points(BASE, x0)
    at = torch.arange(5).repeat(4000)
    generator = torch.Generator().manual_seed(0)
    t = torch.randint(0, 1000, (len(at),), generator=generator)
    eps = torch.randn(len(at), 1, 2, 2, generator=generator)

    def loss(model):
        return float(around(BASE, model).loss(x0[at], eps, t=t))

    least = loss(best)
    for share in (0.95, 1.05):
        assert loss(lambda xt, t, share=share: share * best(xt, t)) > least
    assert loss(Points(BASE, x0[:4])) > least
