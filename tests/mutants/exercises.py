"""Of the exercises: their answers' numbers must not survive a broken package."""

from tests.mutants import Mutant, mutants

T = 'diffusion/test_exercises.py::'

MUTANTS: list[Mutant] = [
    *mutants(
        'labml_nn/diffusion/ddpm/utils.py',
        (
            'last: float = 0.02)',
            'last: float = 0.025)',
            f'{T}test_half_of_the_variance {T}test_without_shrinking '
            f'{T}test_ten_steps_are_not_small {T}test_the_end_of_a_short_chain '
            f'{T}test_a_quarter_of_the_steps {T}test_where_the_halves_are',
        ),
        (
            'return (guess - truth).square().reshape(len(truth), -1).mean(1)',
            'return (guess - truth).abs().reshape(len(truth), -1).mean(1)',
            f'{T}test_a_constant_guess {T}test_the_least_loss_for_a_gaussian',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/__init__.py',
        (
            'alpha_bar_prev**0.5 * beta / one_minus_alpha_bar * x0',
            'alpha_bar_prev * beta / one_minus_alpha_bar * x0',
            f'{T}test_weights_of_the_posterior_mean',
        ),
        (
            'var = gather(self.one_minus_alpha_bar, t, x0.ndim)  # [batch, 1, 1, 1]',
            'var = gather(self.one_minus_alpha_bar, t, x0.ndim) ** 0.5',
            f'{T}test_a_forgotten_root',
        ),
        ('return mean + var**0.5 * eps', 'return mean + 2 * var * eps', f'{T}test_mixed_noise'),
        (
            'return (xt - noise_std * eps) / gather',
            'return (xt - noise_std**2 * eps) / gather',
            f'{T}test_tweedie_of_a_gaussian',
        ),
        (
            'return (low + (v + 1) / 2 * (high - low)).exp()',
            'return (low + (v + 1) / 3 * (high - low)).exp()',
            f'{T}test_the_middle_of_the_variances',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/score.py',
        (
            'return torch.softmax(-distance / (2 * var), dim=1)',
            'return torch.softmax(-distance / var, dim=1)',
            f'{T}test_two_points',
        ),
        (
            'return delta / 2 * s + delta**0.5 * z',
            'return delta * s + delta**0.5 * z',
            f'{T}test_a_large_langevin_step',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/unet.py',
        (
            'self.stem = nn.Conv2d(image_channels, n_channels, 3, padding=1)',
            'self.stem = nn.Conv2d(image_channels, n_channels, 5, padding=2)',
            f'{T}test_the_first_convolution',
        ),
        (
            'for _ in range(n_blocks + 1):',
            'for _ in range(n_blocks):',
            f'{T}test_how_many_skips',
        ),
        (
            'self.out = nn.Linear(n_channels, n_channels)',
            'self.out = nn.Linear(n_channels, n_channels, bias=False)',
            f'{T}test_attention_at_full_size',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/train.py',
        (
            'return min(1.0, (step + 1) / max(c.warmup, 1)',
            'return min(1.0, (step + 2) / max(c.warmup, 1)',
            f'{T}test_half_of_the_rate',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/ema.py',
        (
            'if self.warmup else self.decay',
            'if self.warmup else self.decay**2',
            f'{T}test_half_of_the_first_weights',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/contract.py',
        ('DEFAULT_STEPS = 20', 'DEFAULT_STEPS = 25', f'{T}test_calls_of_the_network'),
        (
            "'trailing': lambda i: (2 * (i + 1) * T + n) // (2 * n) - 1,",
            "'trailing': lambda i: (2 * (i + 1) * T - n) // (2 * n) - 1,",
            f'{T}test_four_steps',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/ddim.py',
        (
            'xt = self.signal[s] * x0_hat + direction * eps',
            'xt = self.signal[s] * x0_hat + 0.9 * direction * eps',
            f'{T}test_spread_that_ddim_leaves',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/guidance.py',
        (
            'guided = (1 + self.scale) * eps[:, :n] - self.scale * eps_uncond[:, :n]',
            'guided = self.scale * eps[:, :n] - (self.scale - 1) * eps_uncond[:, :n]',
            f'{T}test_a_guided_guess {T}test_a_guided_gaussian',
        ),
        (
            'dropped = torch.rand(len(label), device=label.device) < p_uncond',
            'dropped = torch.rand(len(label), device=label.device) > p_uncond',
            f'{T}test_a_batch_without_dropped_labels',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/editing.py',
        (
            'xt.copy_(torch.where(anew, xt, known))',
            'xt.copy_(xt)',
            f'{T}test_replacement_at_a_correlation_of_six_tenths',
        ),
        (
            'range(resamplings - 1)',
            'range(resamplings)',
            f'{T}test_calls_of_repaint',
        ),
    ),
    *mutants(
        'tests/kit/pair.py',
        (
            'torch.trapezoid(w**U / root, w)',
            'torch.trapezoid(w ** (U + 1) / root, w)',
            f'{T}test_resamplings_for_three_percent',
        ),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/likelihood.py',
        (
            'shape = (torch.expm1(delta) - delta).clamp(min=0)',
            'shape = (torch.expm1(-delta) + delta).clamp(min=0)',
            f'{T}test_two_wrong_variances',
        ),
        (
            'half = 1 / (n_levels - 1)',
            'half = 1 / n_levels',
            f'{T}test_a_level_of_two_deviations',
        ),
        (
            'normal_kl(mean, var.log(), zero, zero)',
            'normal_kl(mean, var.log(), mean, zero)',
            f'{T}test_the_end_of_a_short_chain',
        ),
    ),
]
