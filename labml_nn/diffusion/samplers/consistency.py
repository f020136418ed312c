r"""
---
title: Consistency sampling
summary: Jump to the image, put new noise on it, and jump again, for models that guess the end.
---

# Consistency sampling

A [consistency model](../distillation.html) gets $x_t$ and $t$, and guesses the image at which
[DDIM's differential equation](ddim.html) (the ODE) through $x_t$ ends. One call is enough. More
calls can improve the image (@song2023, algorithm 1): add new noise, less than before, and let the
model jump from there once more.

$$x_{\tau_{i-1}} = \sqrt{\bar\alpha_{\tau_{i-1}}}\;\hat x_0(x_{\tau_i}, \tau_i) +
\sqrt{1-\bar\alpha_{\tau_{i-1}}}\;z$$

[tested](test:diffusion/samplers/test_consistency.py::test_a_step_is_a_jump_and_new_noise). If the
model is exact, every jump lands on an image of the data, and its noisy version is distributed as
$x_t$ is. So any number of calls draws the data exactly
[tested](test:diffusion/samplers/test_consistency.py::test_any_number_of_calls_gives_the_data).
[DDIM](ddim.html) has the same form with the old noise in the place of $z$, and the chain of
[ancestral sampling](ancestral.html) lies between them.

An ordinary model guesses the mean of all images that $x_t$ may come from, which is not the end of
the ODE, and with it the samples have too little spread
[tested](test:diffusion/samplers/test_consistency.py::test_an_ordinary_model_loses_spread).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from labml_nn.diffusion.ddpm.utils import SeededNoise
from labml_nn.diffusion.samplers.contract import ReverseSampler


@dataclass(kw_only=True, eq=False, repr=False)
class Consistency(ReverseSampler):
    r"""
    ## Consistency sampler
    """

    @torch.no_grad()
    def chain(self, xt: Tensor, noise: SeededNoise) -> Iterator[tuple[int, Tensor, Tensor]]:
        r"""
        ### From noise to image
        """
        for i in reversed(range(self.n_steps)):
            t, s = self.tau[i], self.before(i)
            _, x0_hat = self.predict(xt, t)
            # $\sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s}\,z$, in the last step $\hat
            # x_0$ itself
            xt = self.noised(x0_hat, -1, s, noise(xt.shape, xt.device)) if i else x0_hat
            yield t, xt, x0_hat
