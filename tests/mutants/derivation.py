"""Of the derivation, the schedules, the loss, the average, the bound and the learned variance."""

from tests.mutants import Mutant, mutants

DDPM = 'labml_nn/diffusion/ddpm/__init__.py'
UTILS = 'labml_nn/diffusion/ddpm/utils.py'
BOUND = 'labml_nn/diffusion/ddpm/likelihood.py'
D = 'diffusion/ddpm/'
FORWARD, POSTERIOR = f'{D}test_forward.py::', f'{D}test_posterior.py::'
DERIVATION, CHAINS, LOSS = f'{D}test_derivation.py::', f'{D}test_bound.py::', f'{D}test_loss.py::'
SAMPLING, LIKELIHOOD = f'{D}test_sampling.py::', f'{D}test_likelihood.py::'
BAYES = f'{POSTERIOR}test_is_bayes_rule'
CLOSED = f'{FORWARD}test_closed_form_is_t_single_steps'
TWO = f'{DERIVATION}test_two_steps_are_one'

MUTANTS: list[Mutant] = [
    # ## Forward: the closed form and what is left
    *mutants(
        DDPM,
        (
            'mean = x - beta[i] / (1 - alpha_bar[i]) ** 0.5 * eps',
            'mean = x - beta[i] * eps',
            'diffusion/ddpm/test_glance.py::test_samples_lie_where_the_data_lies',
        ),
        ('alpha_bar, t, x0.ndim) ** 0.5 * x0', 'alpha_bar, t, x0.ndim) * x0', f'{CLOSED} {TWO}'),
        ('alpha_bar, t, x0.ndim) ** 0.5 * x0', 'alpha, t, x0.ndim) ** 0.5 * x0', CLOSED),
        ("'one_minus_alpha_bar': 1 - alpha_bar,", "'one_minus_alpha_bar': beta,", CLOSED),
        ('mean + var**0.5 * eps', 'mean + var * eps', TWO),
        (
            "'one_minus_alpha_bar': 1 - alpha_bar,",
            "'one_minus_alpha_bar': 1 - alpha_bar**0.5,",
            f'{CLOSED} {DERIVATION}test_noise_error_is_image_error_times_snr',
        ),
    ),
    *mutants(
        UTILS,
        ('last: float = 0.02', 'last: float = 0.021', f'{FORWARD}test_signal_left_at_the_end'),
        ('last: float = 0.02', 'last: float = 0.019',
         f'{CHAINS}test_prior_term_is_as_small_as_the_paper_says'),
        ('first: float = 1e-4', 'first: float = 2e-4', CLOSED),
        ('MOST_LEFT = 0.05', 'MOST_LEFT = 0.7', f'{FORWARD}test_signal_left_at_the_end'),
        ('return beta, (1 - beta).cumprod(0)', 'return beta, (1 - beta).cumprod(0) ** 2', CLOSED),
    ),
    # ## One step back
    *mutants(
        DDPM,
        (
            'beta_tilde = (1 - alpha_bar_prev) / (1 - alpha_bar) * beta',
            'beta_tilde = (1 - alpha_bar_prev) / (1 - alpha_bar) * beta**0.5',
            f'{BAYES} {DERIVATION}test_precisions_add_up '
            f'{DERIVATION}test_the_best_variance_at_both_extremes '
            f'{POSTERIOR}test_composes_with_the_forward_process',
        ),
        (
            'beta_tilde = (1 - alpha_bar_prev) / (1 - alpha_bar) * beta',
            'beta_tilde = (1 - alpha_bar) / (1 - alpha_bar_prev) * beta',
            f'{POSTERIOR}test_ratio_of_the_two_variances {DERIVATION}test_precisions_add_up',
        ),
        (
            'alpha_bar_prev**0.5 * beta / one_minus_alpha_bar * x0',
            'alpha_bar_prev * beta / one_minus_alpha_bar * x0',
            f'{BAYES} {DERIVATION}test_the_mean_in_terms_of_the_noise '
            f'{POSTERIOR}test_composes_with_the_forward_process '
            f'{DERIVATION}test_a_step_turned_around',
        ),
        (
            'alpha**0.5 * one_minus_alpha_bar_prev / one_minus_alpha_bar * xt',
            'alpha * one_minus_alpha_bar_prev / one_minus_alpha_bar * xt',
            f'{BAYES} {DERIVATION}test_the_mean_in_terms_of_the_noise',
        ),
        (
            'alpha**0.5 * one_minus_alpha_bar_prev / one_minus_alpha_bar * xt',
            'alpha**0.5 * one_minus_alpha_bar / one_minus_alpha_bar_prev * xt',
            f'{POSTERIOR}test_composes_with_the_forward_process',
        ),
        (
            'alpha_bar_prev = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])',
            'alpha_bar_prev = alpha_bar',
            f'{BAYES} {CHAINS}test_telescoping',
        ),
        (
            'return mean, gather(self.beta_tilde, t, xt.ndim)',
            'return mean, gather(self.beta, t, xt.ndim)',
            f'{BAYES} {DERIVATION}test_kl_of_two_gaussians',
        ),
        (
            "'sigma2': beta if variance == 'beta' else beta_tilde,",
            "'sigma2': beta_tilde,",
            f'{CHAINS}test_kl_is_weighted_eps_error {CHAINS}test_weight_that_l_simple_drops '
            f'{SAMPLING}test_p_sample_is_algorithm_2 {DERIVATION}test_kl_of_two_gaussians',
        ),
        ("'beta': beta,", "'beta': beta_tilde,",
         f'{DERIVATION}test_the_best_variance_at_both_extremes'),
    ),
    # The identities that are proved with numbers of the test's own: one side broken there
    *mutants(
        f'tests/{D}test_derivation.py',
        ('precision = (1 - BETA[t]) / BETA[t] + 1', 'precision = 1 / BETA[t] + 1',
         f'{DERIVATION}test_precisions_add_up'),
        ('- log(before, *diffusion.q_xt_x0(x0, t - 1))', '- log(before, *diffusion.q_xt_x0(x0, t))',
         f'{DERIVATION}test_a_step_turned_around'),
        ('** 2 / (2 * sigma2)).sum(1)', '** 2 / sigma2).sum(1)',
         f'{DERIVATION}test_kl_of_two_gaussians'),
        ('5 / 2 * (ratio - 1 - ratio.log())', '5 / 2 * (ratio - 1 + ratio.log())',
         f'{DERIVATION}test_kl_of_two_gaussians'),
        ('beta / (1 - alpha_bar) ** 0.5 * eps)', 'beta / (1 - alpha_bar) * eps)',
         f'{DERIVATION}test_the_mean_in_terms_of_the_noise'),
        ('share = BETA / (1 - ALPHA_BAR)', 'share = BETA / ALPHA_BAR',
         f'{DERIVATION}test_shares_of_the_noise_that_a_step_adds'),
        ('var = (1 - before) / (1 - a) * beta\n', 'var = 2 * beta\n',
         f'{DERIVATION}test_a_short_step_back_is_nearly_gaussian'),
        ('snr = (ALPHA_BAR / (1 - ALPHA_BAR))[t, None]', 'snr = ALPHA_BAR[t, None]',
         f'{DERIVATION}test_noise_error_is_image_error_times_snr'),
    ),
    *mutants(
        'tests/kit/gaussian.py',
        ('(1 - beta) * var_before**2 / var', '(1 - beta) * var_before**2 / var / 1.01',
         f'{DERIVATION}test_the_two_variances_bracket_the_best_one '
         f'{LIKELIHOOD}test_the_gap_is_its_closed_form'),
        ('return (r - 1 - r.log()) / (2 * math.log(2))', 'return (r - 1 - r.log()) / math.log(2)',
         f'{LIKELIHOOD}test_the_gap_is_its_closed_form {LIKELIHOOD}test_gaps_on_the_page '
         f'{LIKELIHOOD}test_limits_of_many_steps'),
        ('return (r - 1 - r.log()) / (2 * math.log(2))', 'return (r - 1) / (2 * math.log(2))',
         f'{LIKELIHOOD}test_limits_of_many_steps'),
        ('/ (a * values + 1 - a)', '/ (a * values + 1)',
         f'{SAMPLING}test_gaussian_data_is_reproduced'),
    ),
    # ## The bound
    *mutants(
        f'tests/{D}test_bound.py',
        ('square = square + v_prev - 2 * slope[t] * covariance', 'square = square + v_prev',
         f'{CHAINS}test_jensen'),
        ('L = L - 0.5 * torch.log(2 * torch.pi * torch.e * beta[t])', 'L = L - 0.5',
         f'{CHAINS}test_jensen'),
        ('for t in range(1, n):\n        mean, var', 'for t in range(2, n):\n        mean, var',
         f'{CHAINS}test_telescoping'),
        ('weight = beta[t] ** 2 / (2 * sigma2', 'weight = beta[t] ** 2 / (sigma2',
         f'{CHAINS}test_kl_is_weighted_eps_error'),
        ('weight = d.beta**2 / (2 * d.sigma2', 'weight = d.beta**2 / (d.sigma2',
         f'{CHAINS}test_weight_that_l_simple_drops'),
    ),
    # ## From noise to image and back
    *mutants(
        DDPM,
        (
            'noise_std = gather(self.one_minus_alpha_bar, t, xt.ndim) ** 0.5',
            'noise_std = gather(self.one_minus_alpha_bar, t, xt.ndim)',
            f'{SAMPLING}test_predict_x0_inverts_q_sample {SAMPLING}test_p_sample_is_algorithm_2 '
            f'{CHAINS}test_kl_is_weighted_eps_error',
        ),
        (
            '(xt - noise_std * eps) / gather(self.alpha_bar, t, xt.ndim) ** 0.5',
            '(xt - noise_std * eps) / gather(self.alpha_bar, t, xt.ndim)',
            f'{SAMPLING}test_predict_x0_inverts_q_sample '
            f'{SAMPLING}test_an_error_in_eps_is_157_times_as_large_in_x0_at_the_end',
        ),
        (
            'mean + torch.where(last, 0.0, var**0.5) * z',
            'mean + torch.where(last, 0.0, var) * z',
            f'{SAMPLING}test_p_sample_is_algorithm_2 {SAMPLING}test_noise_at_every_other_step',
        ),
        (
            'mean + torch.where(last, 0.0, var**0.5) * z',
            'mean + 0.5 * var**0.5 * z + 0.5 * torch.where(last, 0.0, var**0.5) * z',
            f'{SAMPLING}test_p_sample_is_algorithm_2',
        ),
        ('mean + torch.where(last, 0.0, var**0.5) * z', 'mean * 1.01',
         f'{DERIVATION}test_a_chain_of_means_collapses'),
    ),
    # ## The loss
    *mutants(
        UTILS,
        ('(guess - truth).square()', '(guess - truth).abs()',
         f'{LOSS}test_the_model_sees_the_noised_image_and_its_step'),
        ('.reshape(len(truth), -1).mean(1)', '.reshape(len(truth), -1).sum(1)',
         f'{LOSS}test_a_zero_model_has_loss_one '
         f'{LOSS}test_the_model_sees_the_noised_image_and_its_step'),
        ('.reshape(len(truth), -1).mean(1)', '.mean().expand(len(truth))',
         f'{LOSS}test_errors_of_single_images'),
    ),
    *mutants(
        DDPM,
        ('xt = self.q_sample(x0, t, eps)', 'xt = x0',
         f'{LOSS}test_the_model_sees_the_noised_image_and_its_step'),
        ('torch.randint(0, self.n_steps, (len(x0),)', 'torch.randint(1, self.n_steps, (len(x0),)',
         f'{LOSS}test_steps_are_uniform_over_all'),
        ('eps = torch.randn_like(x0) if noise is None',
         'eps = torch.rand_like(x0) if noise is None',
         f'{LOSS}test_a_zero_model_has_loss_one'),
    ),
    *mutants(
        f'tests/{D}test_derivation.py',
        ('images.var() / (2 * images - 1).var()', 'images.var() / (images - 1).var()',
         f'{DERIVATION}test_images_of_0_to_1'),
    ),
    # ## The U-Net, the average
    *mutants(
        'labml_nn/diffusion/ddpm/ema.py',
        ('(1 + n) / (10 + n)', '(1 + n) / (20 + n)',
         f'{D}test_ema.py::test_is_the_recursion {D}test_ema.py::test_the_first_update_copies'),
        ('1 - self.decay_at(n))', 'self.decay_at(n))',
         f'{D}test_ema.py::test_is_the_recursion {D}test_ema.py::test_warm_up_forgets_the_start'),
        ('if self.warmup else self.decay', 'if not self.warmup else self.decay',
         f'{D}test_ema.py::test_warm_up_forgets_the_start'),
        ('        if n:\n', '        if True:\n', f'{D}test_ema.py::test_the_first_update_copies'),
        ('self.n_averaged += 1', 'self.n_averaged += 1\n        '
         'torch._foreach_lerp_(list(model.parameters()), averaged, 0.01)',
         f'{D}test_ema.py::test_never_feeds_back'),
    ),
    *mutants(
        f'tests/{D}test_ema.py',
        ('round(0.9999**1000, 2)', 'round(0.9999**100, 2)',
         f'{D}test_ema.py::test_shares_quoted_on_the_page'),
    ),
    # ## Schedules
    *mutants(
        'labml_nn/diffusion/schedules.py',
        ('offset: float = 0.008', 'offset: float = 0.01',
         'diffusion/test_schedules.py::test_cosine_is_equation_17'),
        ('* (math.pi / 2)) ** 2', '* (math.pi / 2))',
         'diffusion/test_schedules.py::test_cosine_is_equation_17 '
         'diffusion/test_schedules.py::test_signal_left_as_the_page_has_it'),
        ('(t + offset) / (1 + offset)', 't / (1 + offset)',
         'diffusion/test_schedules.py::test_the_first_cosine_step_is_below_a_level'),
        ('MAX_BETA = 0.999', 'MAX_BETA = 0.99',
         'diffusion/test_schedules.py::test_cosine_is_equation_17'),
        ('return log_alpha_bar - (-torch.expm1(log_alpha_bar)).log()', 'return log_alpha_bar',
         'diffusion/test_schedules.py::test_log_snr_is_the_ratio_and_falls'),
        ('torch.log1p(-beta.double()).cumsum(0)', 'torch.log1p(-beta.double()).cumsum(0) / 2',
         'diffusion/test_schedules.py::test_where_the_steps_are_spent'),
        ('(beta * (1000 / n_steps))', '(beta * (1000 / n_steps) ** 0.5)',
         'diffusion/test_schedules.py::test_signal_left_as_the_page_has_it'),
    ),
    *mutants(
        DDPM,
        ("'log_beta_tilde': from_second.log(),", "'log_beta_tilde': beta_tilde.log(),",
         'diffusion/test_schedules.py::test_any_betas_are_a_schedule'),
    ),
    # ## Likelihood
    *mutants(
        BOUND,
        ('half = 1 / (n_levels - 1)', 'half = 1 / n_levels',
         f'{LIKELIHOOD}test_the_levels_share_all_probability '
         f'{LIKELIHOOD}test_a_level_has_what_is_nearest_to_it'),
        ('1e4, (x0 + half - mean) / sigma)', '1e4, (x0 + 2 * half - mean) / sigma)',
         f'{LIKELIHOOD}test_the_levels_share_all_probability'),
        ('(x0 - half - mean) / sigma)\n', '(x0 - mean) / sigma)\n',
         f'{LIKELIHOOD}test_a_level_has_what_is_nearest_to_it '
         f'{LIKELIHOOD}test_the_terms_sum_to_the_bound_of_whole_chains'),
        ('torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)', 'low, high',
         f'{LIKELIHOOD}test_probabilities_far_out_are_not_zero'),
        ('delta = q_log_var - p_log_var', 'delta = p_log_var - q_log_var',
         f'{LIKELIHOOD}test_kl_agrees_with_torch {LIKELIHOOD}test_the_gap_is_its_closed_form'),
        ('** 2 * (-p_log_var).exp()) / 2', '** 2 * (-p_log_var).exp())',
         f'{LIKELIHOOD}test_kl_agrees_with_torch '
         f'{LIKELIHOOD}test_the_terms_sum_to_the_bound_of_whole_chains'),
        ('shape = (torch.expm1(delta) - delta).clamp(min=0)', 'shape = torch.expm1(delta)',
         f'{LIKELIHOOD}test_kl_is_never_negative {LIKELIHOOD}test_kl_agrees_with_torch'),
        ('return nats.flatten(1).mean(1) / math.log(2)', 'return nats.flatten(1).mean(1)',
         f'{LIKELIHOOD}test_rate_and_distortion_of_gaussian_data '
         f'{LIKELIHOOD}test_the_gap_is_its_closed_form'),
        ('later = self.of(variance).mean(0)[1:]', 'later = self.of(variance).mean(0)[:-1]',
         f'{LIKELIHOOD}test_rate_and_distortion_of_gaussian_data'),
        ('return self.mse.mean(0) ** 0.5', 'return self.mse.mean(0)',
         f'{LIKELIHOOD}test_rate_and_distortion_of_gaussian_data'),
        ('return torch.cat([choices[first][:1]', 'return torch.cat([choices[variance][:1]',
         f'{LIKELIHOOD}test_the_gap_is_its_closed_form'),
        ('x0_hat = diffusion.p_mean_var(xt, t, clip_x0=clip_x0)',
         'x0_hat = diffusion.p_mean_var(xt, t)',
         f'{LIKELIHOOD}test_clipping_never_raises_a_divergence'),
        ('q_log_var = gather(diffusion.log_beta_tilde, t, x0.ndim)',
         'q_log_var = gather(diffusion.beta, t, x0.ndim).log()',
         f'{LIKELIHOOD}test_eight_bit_data {LIKELIHOOD}test_the_gap_is_its_closed_form'),
    ),
    *mutants(
        DDPM,
        ("'log_beta_tilde': from_second.log(),", "'log_beta_tilde': beta.log(),",
         f'{LIKELIHOOD}test_the_gap_is_its_closed_form'),
        ("'beta_tilde': beta_tilde,", "'beta_tilde': beta / 2,",
         f'{LIKELIHOOD}test_limits_of_the_first_ratios'),
    ),
    *mutants(
        'labml_nn/diffusion/schedules.py',
        ('(beta * (1000 / n_steps))', '(beta * (100 / n_steps))',
         f'{LIKELIHOOD}test_limits_of_many_steps'),
    ),
    # ## Learned variance
    *mutants(
        DDPM,
        ('(low + (v + 1) / 2 * (high - low))', '(low + (v**3 + 1) / 2 * (high - low))',
         'diffusion/test_learned_variance.py::'
         'test_between_them_it_is_linear_in_the_logarithm_and_may_go_beyond'),
        ('(low + (v + 1) / 2 * (high - low))', '(low + v * (high - low))',
         'diffusion/test_learned_variance.py::test_a_new_network_begins_in_the_middle '
         'diffusion/test_learned_variance.py::test_what_a_little_too_little_costs '
         'diffusion/test_learned_variance.py::test_ancestral_sampling_uses_it_on_any_subset'),
    ),
    *mutants(
        'labml_nn/diffusion/learned_variance.py',
        ('WEIGHT = 0.001', 'WEIGHT = 0.5', 'diffusion/test_learned_variance.py::'
         'test_is_the_simple_loss_and_a_thousandth_of_the_bound'),
        ('vlb = diffusion.n_steps * step_bits', 'vlb = step_bits',
         'diffusion/test_learned_variance.py::test_unbiased '
         'diffusion/test_learned_variance.py::test_is_the_simple_loss_and_a_thousandth_of_the_bound'),
        ('x0_hat.detach()', 'x0_hat',
         'diffusion/test_learned_variance.py::test_the_bound_does_not_move_the_mean'),
    ),
    *mutants(
        'tests/diffusion/test_learned_variance.py',
        ('(1 + off)  # beta_tilde', '(1 - off / 4)  # beta_tilde',
         'diffusion/test_learned_variance.py::test_below_beta_tilde_never_pays'),
    ),
]  # fmt: skip
