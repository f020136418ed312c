"""DPM-Solver++: what its first order is."""

import pytest
import torch

from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.samplers import DDIM, Ancestral, DPMSolver
from tests.kit.close import agree
from tests.kit.models import SPACINGS, model


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('clip_x0', [True, False])
def test_first_order_is_ddim(spacing, clip_x0):
    diffusion, options = DenoiseDiffusion(model, 1000), dict(spacing=spacing, clip_x0=clip_x0)
    for n in (10, 27, 1000):
        agree(
            DPMSolver(diffusion, n, order=1, sde=False, **options).sample((4, 3)),
            DDIM(diffusion, n, **options).sample((4, 3)),
            atol=1e-4, what='images, and those of DDIM',
        )  # fmt: skip


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('clip_x0', [True, False])
def test_first_order_with_noise_is_ancestral(spacing, clip_x0):
    diffusion, options = DenoiseDiffusion(model, 1000), dict(spacing=spacing, clip_x0=clip_x0)
    for n in (10, 27, 1000):
        agree(
            DPMSolver(diffusion, n, order=1, sde=True, **options).sample((4, 3), seed=1),
            Ancestral(diffusion, n, **options).sample((4, 3), seed=1),
            atol=1e-4, what='images, and those of ancestral sampling',
        )  # fmt: skip


def test_log_signal_to_noise_at_both_ends():
    """The figures of the page."""
    diffusion = DenoiseDiffusion(model, 1000)
    lam = (diffusion.alpha_bar / diffusion.one_minus_alpha_bar).log() / 2
    assert [round(float(lam[t]), 1) for t in (999, 0)] == [-5.1, 4.6]


def test_a_first_step_has_nothing_to_extrapolate_from():
    diffusion = DenoiseDiffusion(model, 1000)
    xt = torch.randn(4, 3)
    one = [next(DPMSolver(diffusion, 10, order=k, sde=False).chain(xt, None))[1] for k in (1, 2)]
    assert torch.equal(*one)
