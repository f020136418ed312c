"""Of the page of EDM's training."""

from tests.mutants import Mutant, mutants

P = 'diffusion/test_preconditioning.py::'
EX = 'diffusion/test_exercises.py::'
PAGE = 'labml_nn/diffusion/preconditioning.py'

MUTANTS: list[Mutant] = [
    *mutants(
        PAGE,
        ('(a**2 * sigma_data**2 + s**2) ** 0.5', '(a**2 * sigma_data + s**2) ** 0.5',
         f'{P}test_input_and_target_have_unit_variance {P}test_the_target_is_what_the_skip_leaves '
         f'{P}test_the_skip_makes_the_output_small {P}test_it_is_v_of_scaled_images '
         f'{P}test_the_denoiser_is_that_of_diffusers {EX}test_half_of_the_skip '
         f'{EX}test_an_error_of_the_preconditioned'),
        ('s / (sigma_data * d)', 's / d',
         f'{P}test_input_and_target_have_unit_variance {P}test_the_target_is_what_the_skip_leaves '
         f'{P}test_the_skip_makes_the_output_small {P}test_the_weight_is_constant '
         f'{P}test_a_gaussian_leaves_nothing_to_learn {P}test_it_is_v_of_scaled_images'),
        ('return -a * sigma_data / d', 'return a * sigma_data / d',
         f'{P}test_the_target_is_what_the_skip_leaves {P}test_it_is_v_of_scaled_images '
         f'{P}test_a_gaussian_leaves_nothing_to_learn'),
        ('between = (log_sigma[1:] + log_sigma[:-1]) / 2', 'between = log_sigma[1:] + 0.1',
         f'{P}test_the_shares_are_those_of_the_normal'),
        ('ndtr((between - mean) / std)', 'ndtr((between - mean) / std**2)',
         f'{P}test_the_shares_are_those_of_the_normal {P}test_where_training_is_spent'),
        ('P_MEAN, P_STD = -1.2, 1.2', 'P_MEAN, P_STD = -0.8, 1.2',
         f'{P}test_where_training_is_spent {EX}test_how_seldom_the_first_level_is_trained'),
        ('SIGMA_DATA = 0.5', 'SIGMA_DATA = 0.6',
         f'{EX}test_half_of_the_skip {EX}test_an_error_of_the_preconditioned'),
        ('return torch.multinomial(share.to(device, torch.float32), n, replacement=True)',
         'return torch.multinomial(share.to(device, torch.float32) ** 0.5, n, replacement=True)',
         f'{P}test_training_draws_by_these_shares'),
    ),
    *mutants(
        'labml_nn/diffusion/targets.py',
        ('sees=lambda a, s: 1 / spread(a, s, sigma_data)', 'sees=lambda a, s: 1.0 + 0 * s',
         f'{P}test_input_and_target_have_unit_variance {P}test_the_denoiser_is_that_of_diffusers'),
        ('return super().output(xt if sees is None else', 'return super().output(xt if True else',
         f'{P}test_the_denoiser_is_that_of_diffusers'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/train.py',
        ('draw_steps(len(x0), c.n_steps, self.share, self.device)',
         'draw_steps(len(x0), c.n_steps, None, self.device)',
         f'{P}test_training_draws_by_these_shares'),
    ),
    *mutants(
        'labml_nn/data/datasets.py',
        ('return images.float() * (2 / (levels - 1)) - 1',
         'return images.float() * (1 / (levels - 1))', f'{P}test_the_spread_of_the_digits'),
    ),
]  # fmt: skip
