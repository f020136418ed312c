"""The twenty lines that the page begins with."""

import torch

from labml_nn.diffusion.ddpm import at_a_glance


def test_samples_lie_where_the_data_lies():
    torch.manual_seed(0)
    angle = 2 * torch.pi * torch.rand(512)
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)  # [512, 2]
    made = at_a_glance(circle, n_updates=1000)
    assert made.shape == circle.shape
    radius = made.norm(dim=1)
    # Most of the points are near the circle, and on all sides of it. Of pure noise it would be 30 %
    assert ((radius - 1).abs() < 0.25).float().mean() > 0.7
    assert made.mean(0).norm() < 0.15
