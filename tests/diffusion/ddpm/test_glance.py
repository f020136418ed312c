"""The twenty lines that the page begins with."""

import torch
from torch import nn

from labml_nn.diffusion.ddpm import DenoiseDiffusion, at_a_glance
from tests.kit.close import agree


def by_the_class(x0, n_steps, n_updates):
    """The same by `DenoiseDiffusion`, with the same random numbers in the same order."""
    hidden = nn.Sequential(nn.Linear(64, 64), nn.SiLU())
    network = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), hidden, nn.Linear(64, 2))

    def eps_theta(x, t):
        return network(torch.cat([x, t[:, None] / n_steps], 1))

    diffusion = DenoiseDiffusion(eps_theta, n_steps, beta=torch.linspace(1e-4, 0.2, n_steps))
    adam = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(n_updates):
        t = torch.randint(n_steps, (len(x0), 1))[:, 0]
        adam.zero_grad()
        diffusion.loss(x0, torch.randn_like(x0), t=t).backward()
        adam.step()
    x = torch.randn_like(x0)
    for i in reversed(range(n_steps)):
        z = torch.randn_like(x)
        with torch.no_grad():
            x = diffusion.p_sample(x, torch.full((len(x),), i), z=z)
    return x


def test_each_line_does_what_the_class_does():
    """Any sign, root or index that were another would make other points."""
    x0 = torch.rand(16, 2) * 2 - 1
    torch.manual_seed(1)
    made = at_a_glance(x0, n_steps=100, n_updates=5)
    torch.manual_seed(1)
    agree(made, by_the_class(x0, n_steps=100, n_updates=5), atol=1e-4)


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
