"""PNDM: the weights of the multistep methods, and its two starts."""

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DDIM, PNDM
from labml_nn.diffusion.samplers.pndm import WEIGHTS
from tests.kit.close import agree
from tests.kit.models import model


def test_weights_integrate_polynomials():
    """k noises give the mean over the coming step of every polynomial of degree k-1, exactly."""
    for weights in WEIGHTS:
        for power in range(len(weights)):
            # Steps run from 0 to 1; the noises were met at 0, -1, -2 …
            got = sum(w * (-float(j)) ** power for j, w in enumerate(weights))
            agree(got, 1 / (power + 1), atol=1e-12, what='mean over the step of x^k')


@pytest.mark.parametrize('start', ['prk', 'plms'])
def test_a_constant_noise_is_followed_exactly(start):
    """Whatever is mixed of equal noises is that noise: all methods are DDIM then."""
    eps = torch.randn(3, 4)
    diffusion = DenoiseDiffusion(lambda xt, t: eps, 1000)
    xt = torch.randn(3, 4)
    for n in (1, 2, 5, 27):
        torch.testing.assert_close(
            PNDM(diffusion, n, start=start, clip_x0=False).sample(xt),
            DDIM(diffusion, n, clip_x0=False).sample(xt),
            rtol=1e-4, atol=1e-4,
        )  # fmt: skip


def test_runge_kutta_start_calls_the_model_in_the_middle():
    asked = []
    diffusion = DenoiseDiffusion(lambda xt, t: asked.append(int(t[0])) or model(xt, t), 1000)
    PNDM(diffusion, 5, start='prk').sample((2, 3))
    assert asked[:12] == [999, 899, 899, 799, 799, 699, 699, 599, 599, 499, 499, 399]
    assert asked[12:] == [399, 199]


def test_multistep_start_looks_ahead_once():
    asked = []
    diffusion = DenoiseDiffusion(lambda xt, t: asked.append(int(t[0])) or model(xt, t), 1000)
    PNDM(diffusion, 5, start='plms').sample((2, 3))
    assert asked == [999, 799, 799, 599, 399, 199]
