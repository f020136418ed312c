"""Of the code that calls the mathematics: what a wrong index, mode or default would pass by."""

from tests.mutants import Mutant, mutants

DDPM = 'labml_nn/diffusion/ddpm/'
W = 'diffusion/ddpm/test_wiring.py::'
DEFAULTS = 'diffusion/test_defaults.py::test_signature_and_page'

MUTANTS: list[Mutant] = [
    # ## The numbers of a run
    *mutants(
        f'{DDPM}metrics.py',
        ('seed, first=at.start, tell=tell', 'seed, tell=tell',
         f'{W}test_features_of_parts_are_those_of_the_whole'),
        ('precision, recall = precision_recall(x, as_many, K)',
         'recall, precision = precision_recall(x, as_many, K)',
         f'{W}test_each_number_is_of_what_it_says'),
        ('K, SPLITS = 3, 10', 'K, SPLITS = 5, 10',
         f'{W}test_each_number_is_of_what_it_says '
         'diffusion/test_defaults.py::test_numbers_that_have_a_name'),
        ('COMPARABLE = 10_000', 'COMPARABLE = 1_000',
         'diffusion/test_defaults.py::test_numbers_that_have_a_name'),
    ),
    *mutants(
        'labml_nn/evaluation/precision_recall.py',
        ('d[d < 1e-12 * norms] = 0', 'd[d < 0] = 0', f'{W}test_equal_points_are_at_no_distance'),
        ('k: int = 3', 'k: int = 5', DEFAULTS),
    ),
    *mutants(
        'labml_nn/evaluation/inception_score.py',
        ('n_splits: int = 10', 'n_splits: int = 1', DEFAULTS),
    ),
    # ## Training
    *mutants(
        f'{DDPM}train.py',
        ('draw_steps(len(x0), c.n_steps,', 'draw_steps(len(x0), c.n_steps // 2,',
         f'{W}test_training_draws_every_step_of_the_chain'),
        ('draw_steps(len(x0), c.n_steps,', '1 + draw_steps(len(x0), c.n_steps - 1,',
         f'{W}test_training_draws_every_step_of_the_chain'),
        ('self.model.train()', 'self.model.eval()',
         f'{W}test_training_is_in_training_mode_and_clips'),
        ('Descent(self.optimizer, c.grad_clip,', 'Descent(self.optimizer, 1e9,',
         f'{W}test_training_is_in_training_mode_and_clips'),
        ('hybrid_errors(diffusion, x0, t, eps, levels, label)',
         'hybrid_errors(diffusion, x0, t, eps, 256, label)',
         f'{W}test_a_learned_variance_is_told_the_levels_of_the_data'),
    ),
    *mutants(
        'labml_nn/runs/run.py',
        ('start=self.step, flip=c.flip,', 'start=self.step,',
         f'{W}test_mirrored_images_are_asked_for'),
    ),
    *mutants(
        f'{DDPM}experiment.py',
        ('training.ema.module, training.precision', 'training.model, training.precision',
         f'{W}test_previews_are_of_the_averaged_weights_and_clipped'),
        ('steps, clip_x0=True)', 'steps, clip_x0=False)',
         f'{W}test_previews_are_of_the_averaged_weights_and_clipped'),
    ),
    *mutants(
        f'{DDPM}ema.py',
        ('a.copy_(b)', 'a.copy_(a)', f'{W}test_batch_statistics_are_copied_into_the_average'),
        ('decay: float = 0.9999', 'decay: float = 0.999', DEFAULTS),
    ),
    *mutants(
        'labml_nn/data/datasets.py',
        ('default_rng([self.seed, e])', 'default_rng([self.seed + e])',
         f'{W}test_each_epoch_has_an_order_of_its_own_in_each_seed'),
    ),
    *mutants(
        'labml_nn/runs/log.py',
        ("'loss': loss / n if n else math.nan", "'loss': loss / (n + skipped) if n else math.nan",
         f'{W}test_the_loss_of_a_window_is_over_the_steps_that_were_taken'),
    ),
    # ## The class
    *mutants(
        f'{DDPM}__init__.py',
        ('.to(device or device_of(eps_model))', '.to(device_of(eps_model))',
         f'{W}test_constants_are_on_the_device_that_was_said'),
        ("variance: str = 'beta',", "variance: str = 'beta_tilde',", DEFAULTS),
    ),
    *mutants(
        f'{DDPM}utils.py',
        ("beta = beta.detach().to('cpu', torch.float64)\n    left",
         "beta = beta.detach().to('cpu', torch.float32)\n    left",
         f'{W}test_beta_is_kept_in_float64_until_the_products_are_made'),
        ('MOST_LEFT = 0.05', 'MOST_LEFT = 0.5',
         f'{W}test_five_percent_is_the_most_that_may_be_left'),
    ),
    *mutants(
        'labml_nn/diffusion/schedules.py',
        ('(1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=max_beta)',
         '(1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=MAX_BETA)',
         f'{W}test_a_largest_beta_is_kept'),
    ),
    *mutants(
        f'{DDPM}sampler.py',
        ('p_sample(xt, t, z=z, clip_x0=self.clip_x0)', 'p_sample(xt, t, z=z)',
         f'{W}test_a_step_of_the_sampler_is_clipped'),
        ('t = torch.full((2,), t_ - 1, device=self.device)',
         't = torch.full((2,), min(t_, self.n_steps - 1), device=self.device)',
         f'{W}test_images_to_mix_are_noised_to_the_step_before_the_first_that_is_undone'),
        ('t_: int = 500,\n        seed: int = 0,\n        *,\n        tell: Tell | None = None,\n'
         '    ) -> Tensor:', 't_: int = 100,\n        seed: int = 0,\n        *,\n'
         '        tell: Tell | None = None,\n    ) -> Tensor:', DEFAULTS),
    ),
    # ## Samplers
    *mutants(
        'labml_nn/diffusion/samplers/__init__.py',
        ("steps = T if name == 'ddpm' else", "steps = 20 if name == 'ddpm' else",
         f'{W}test_the_whole_chain_is_the_sampler_of_the_paper'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/contract.py',
        ("'leading': lambda i: i * T // n,", "'leading': lambda i: i * (T // n),",
         f'{W}test_steps_where_the_number_does_not_divide'),
        ('(2 * (i + 1) * T + n) // (2 * n) - 1', '(i + 1) * T // n - 1',
         f'{W}test_steps_where_the_number_does_not_divide'),
        ('with evaluating(self.diffusion.eps_model):', 'if True:',
         f'{W}test_a_learned_variance_is_used_without_dropout'),
        ('DEFAULT_STEPS = 20', 'DEFAULT_STEPS = 25', DEFAULTS),
        ('clip_x0: bool = True  #', 'clip_x0: bool = False  #', DEFAULTS),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/pndm.py',
        ('reversed(range(1, self.n_steps)) if not', 'reversed(range(2, self.n_steps)) if not',
         f'{W}test_pndm_may_look_ahead_to_index_0'),
        ("plms or prk'] = 'plms'", "plms or prk'] = 'prk'", DEFAULTS),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/dpm_solver.py',
        ("and for unipc also 3'] = 2", "and for unipc also 3'] = 1", DEFAULTS),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/ddim.py',
        ("0 to 1'] = 0.0", "0 to 1'] = 1.0", DEFAULTS),
    ),
    *mutants(
        f'{DDPM}unet.py',
        ('dropout: float = 0.1,  # the', 'dropout: float = 0.0,  # the', DEFAULTS),
        ('(label >= 0)[:, None]', '(label > 0)[:, None]',
         'diffusion/ddpm/test_unet.py::test_every_class_has_a_vector'),
    ),
    # ## The hybrid loss and the bound
    *mutants(
        'labml_nn/diffusion/learned_variance.py',
        ('t = torch.randint(0, diffusion.n_steps,', 't = torch.randint(1, diffusion.n_steps,',
         f'{W}test_the_hybrid_loss_draws_every_step_and_normal_noise'),
        ('t = torch.randint(0, diffusion.n_steps,', 't = torch.randint(0, diffusion.n_steps // 2,',
         f'{W}test_the_hybrid_loss_draws_every_step_and_normal_noise'),
        ('eps = torch.randn_like(x0)', 'eps = torch.rand_like(x0)',
         f'{W}test_the_hybrid_loss_draws_every_step_and_normal_noise'),
    ),
    *mutants(
        f'{DDPM}likelihood.py',
        ('normal_kl(mean, var.log(), zero, zero)', 'normal_kl(zero, zero, mean, var.log())',
         f'{W}test_the_prior_is_on_the_right_side'),
        ('(torch.expm1(delta) - delta).clamp(min=0)', '(delta.exp() - 1 - delta).clamp(min=0)',
         f'{W}test_divergences_of_nearly_equal_variances_keep_their_digits'),
        ('.clamp(max=-1e-30)', '', f'{W}test_a_level_of_no_width_at_all_costs_a_finite_number'),
        ('OFF_LEVEL = 0.01', 'OFF_LEVEL = 0.35',
         f'{W}test_pixels_off_their_level_are_refused_and_two_levels_are_taken'),
        ('if n_levels < 2:', 'if n_levels < 3:',
         f'{W}test_pixels_off_their_level_are_refused_and_two_levels_are_taken'),
        ('SeededNoise(len(x0), seed=0)', 'SeededNoise(len(x0), seed=1)',
         f'{W}test_the_bound_has_noise_of_its_own_seed'),
        ('with evaluating(diffusion.eps_model):', 'if True:',
         f'{W}test_a_learned_variance_is_used_without_dropout'),
    ),
    *mutants(
        f'{DDPM}coding.py',
        ('rmse = found.rmse() * (n_levels - 1) / 2\n    so_far',
         'rmse = found.rmse() * n_levels / 2\n    so_far',
         f'{W}test_the_table_of_bands_says_what_the_curve_says'),
        ('float(rmse[low - 1])', 'float(rmse[low])',
         f'{W}test_the_table_of_bands_says_what_the_curve_says'),
        ('kept[i] = xt', 'kept[i + 1] = xt',
         f'{W}test_shared_latents_go_on_with_new_noise_from_their_own_step'),
    ),
]  # fmt: skip
