"""Of the samplers and of guidance."""

from tests.mutants import Mutant, mutants

FOLDER = 'labml_nn/diffusion/samplers/'
T = 'diffusion/samplers/'
FORMULAS, ANCESTRAL, DDIM = (
    f'{T}test_formulas.py::',
    f'{T}test_ancestral.py::',
    f'{T}test_ddim.py::',
)
DPM, PNDM, CONTRACT = f'{T}test_dpm_solver.py::', f'{T}test_pndm.py::', f'{T}test_contract.py::'
EDM = f'{T}test_edm.py::'
ORDERS, COSINE = f'{T}test_orders.py::', f'{T}test_cosine.py::'
GUIDANCE, EDITS = 'diffusion/test_guidance.py::', 'diffusion/test_editing.py::'
EQ12, TWO_M = f'{FORMULAS}test_ddim_is_equation_12', f'{FORMULAS}test_2m_is_its_formula'
STEPS = f'{FORMULAS}test_pndm_is_its_formula'

MUTANTS: list[Mutant] = [
    # ## The contract
    *mutants(
        f'{FOLDER}contract.py',
        ('.cumprod(0)[tau]', '.cumprod(0)[tau] ** 0.5',
         f'{ANCESTRAL}test_a_subset_is_a_shorter_chain {EQ12} '
         f'{ANCESTRAL}test_ratio_of_the_two_variances'),
        ('.cumprod(0)[tau]', '.cumprod(0)[: len(tau)]',
         f'{ANCESTRAL}test_a_subset_is_a_shorter_chain '
         f'{ANCESTRAL}test_ratio_of_the_two_variances'),
        ('alpha_bar.double() ** 0.5).tolist(), 1.0]', 'alpha_bar.double() ** 0.5).tolist(), 0.99]',
         f'{CONTRACT}test_the_last_step_lands_on_x0_hat'),
        ("'linspace': lambda i: (2 * i * (T - 1) + n - 1) // (2 * n - 2)",
         "'linspace': lambda i: i * (T - 1) // n",
         f'{CONTRACT}test_the_step_to_index_0_is_a_third_of_the_way'),
        ("(2 * (i + 1) * T + n) // (2 * n) - 1,", "(2 * (i + 1) * T + n) // (2 * n) - 2,",
         f'{CONTRACT}test_the_step_to_index_0_is_a_third_of_the_way '
         f'{FORMULAS}test_last_steps_of_one_index'),
        ("'trailing': lambda i: (2 * (i + 1) * T + n) // (2 * n) - 1",
         "'trailing': lambda i: (2 * i * (T - 1) + n - 1) // (2 * n - 2) if n > 1 else T - 1",
         f'{FORMULAS}test_extrapolation_in_lambda_needs_trailing '
         f'{FORMULAS}test_how_much_noise_there_could_be'),
        ('(xt - self.signal[t] * x0_hat) / self.noise[t], x0_hat', 'eps, x0_hat',
         f'{CONTRACT}test_eps_is_derived_again_after_clipping'),
        ('self.whole.guess(xt, self.tau[t], label)',
         'self.whole.guess(xt, torch.full_like(t, int(self.tau[int(t[0])])), label)',
         f'{CONTRACT}test_no_step_waits_for_the_device'),
        ('+ self.noise[s] * eps', '+ self.noise[t] * eps',
         f'{FORMULAS}test_phi_is_equation_11 {STEPS} {DDIM}test_inversion_gives_the_image_back'),
        ('return self.signal[s] * self.predict_x0(xt, eps, t)',
         'return self.signal[t] * self.predict_x0(xt, eps, t)',
         f'{FORMULAS}test_phi_is_equation_11'),
    ),
    *mutants(
        f'{FOLDER}contract.py',
        ('low + i / (n - 1) * (high - low)', 'low + i / n * (high - low)',
         f'{EDM}test_levels_are_even_in_the_root'),
        ('least ** (1 / rho), most ** (1 / rho)', 'least ** (1 / 7), most ** (1 / 7)',
         f'{EDM}test_levels_are_even_in_the_root'),
        ('.abs().argmin(0).tolist()', '.clamp(min=1).argmin(0).tolist()',
         f'{EDM}test_each_level_goes_to_the_nearest_step {EDM}test_where_nine_levels_lie'),
        ('n / s if s > 0', 'n if s > 0',
         f'{EDM}test_each_level_goes_to_the_nearest_step'),
        ('return i > 0 and self.signal', 'return i < 0 and self.signal',
         f'{COSINE}test_every_sampler_gives_the_spread'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/__init__.py',
        ('return mean + var**0.5 * eps', 'return mean + var * eps', f'{EDM}test_the_units_of_edm'),
        ('return (xt - noise_std * eps) / gather(self.alpha_bar, t, xt.ndim) ** 0.5',
         'return xt - noise_std * eps', f'{EDM}test_the_denoiser_is_x0_hat'),
    ),
    # ## Heun
    *mutants(
        f'{FOLDER}edm.py',
        ('(eps + ahead) / 2, t, s)', '(2 * eps + ahead) / 3, t, s)',
         f'{EDM}test_a_step_is_heuns {ORDERS}test_heun_has_order_two'),
        ('self.transfer(xt, eps, t, s), s)', 'xt, s)',
         f'{EDM}test_a_step_is_heuns {ORDERS}test_heun_has_order_two'),
        ('return i > 0 and', 'return i > 1 and',
         f'{EDM}test_steps_cost_two_calls_but_the_last'),
    ),
    # ## Ancestral
    *mutants(
        f'{FOLDER}ancestral.py',
        ("return own if is_own else 'beta_tilde'", "return 'beta_tilde'",
         f'{ANCESTRAL}test_the_variance_when_nobody_asks'),
        ("return own if is_own else 'beta_tilde'", 'return own',
         f'{ANCESTRAL}test_the_variance_when_nobody_asks'),
        ('if self.variance is not None:\n            return self.variance',
         "if self.variance is not None:\n            return 'beta_tilde'",
         f'{ANCESTRAL}test_all_steps_are_algorithm_2'),
    ),
    *mutants(
        'docs/figures/data/frontier.json',
        ('beta$", 1.95, 0.77', 'beta$", 1.25, 0.77',
         f'{ANCESTRAL}test_which_variance_the_tables_speak_for'),
    ),
    # ## DDIM
    *mutants(
        f'{FOLDER}ddim.py',
        ('xt = self.signal[s] * x0_hat + direction * eps',
         'xt = self.signal[s] * x0_hat + self.noise[s] * eps',
         f'{EQ12} {DDIM}test_every_eta_has_the_same_marginals {DDIM}test_eta_1_is_ancestral '
         f'{COSINE}test_ddim_with_eta_1_is_ancestral'),
        ('xt = self.signal[s] * x0_hat + direction * eps',
         'xt = self.signal[t] * x0_hat + direction * eps',
         f'{EQ12} {FORMULAS}test_ddim_is_a_step_of_euler {ORDERS}test_ddim_has_order_one'),
        ('self.eta * var**0.5', 'self.eta**2 * var**0.5', EQ12),
        ('self.eta * var**0.5', 'self.eta * var', f'{EQ12} {DDIM}test_eta_1_is_ancestral'),
        ('if self.eta > 0:', 'if True:\n                xt = xt + 1e-3 * noise(xt.shape, xt.device)'
         '\n            if self.eta > 0:', f'{DDIM}test_eta_0_is_deterministic'),
        ('xt = self.transfer(xs, self.eps_theta(xt, t), s, t)',
         'xt = self.transfer(xs, self.eps_theta(xs, t), s, t)',
         f'{DDIM}test_inversion_gives_the_image_back'),
    ),
    *mutants(
        'tests/kit/flow.py',
        ('* std_t / std_T', '* std_t**2 / std_T**2',
         f'{FORMULAS}test_the_equation_of_ddim_has_this_solution '
         f'{FORMULAS}test_the_equation_of_dpm_solver_has_this_solution '
         f'{FORMULAS}test_equation_8_is_its_integral'),
    ),
    *mutants(
        f'tests/{T}test_formulas.py',
        ('lam[t].exp() * x0_hat', '(2 * lam[t]).exp() * x0_hat',
         f'{FORMULAS}test_the_equation_of_dpm_solver_has_this_solution'),
        ('found = NOISE[s] / NOISE[t] * x(t) + NOISE[s] * integral',
         'found = NOISE[s] / NOISE[t] * x(t) + SIGNAL[s] * integral',
         f'{FORMULAS}test_equation_8_is_its_integral'),
        ('/ (2 * r)', '/ r', f'{FORMULAS}test_the_line_is_exact_for_lines {TWO_M}'),
        ('r = h[-2] / h[-1]', 'r = h[-1] / h[-2]', f'{FORMULAS}test_the_line_is_exact_for_lines'),
    ),
    # ## DPM-Solver++
    *mutants(
        f'{FOLDER}dpm_solver.py',
        ('h / (2 * h_before) * (x0_hat - x0_before)', '1 / 2 * (x0_hat - x0_before)',
         TWO_M),
        ('h / (2 * h_before) * (x0_hat - x0_before)', 'h_before / (2 * h) * (x0_hat - x0_before)',
         TWO_M),
        ('h / (2 * h_before) * (x0_hat - x0_before)', 'h / h_before * (x0_hat - x0_before)',
         f'{TWO_M} {ORDERS}test_second_order_solvers_have_order_two'),
        ('h / (2 * h_before) * (x0_hat - x0_before)', 'h / (2 * h_before) * (x0_before - x0_hat)',
         f'{TWO_M} {ORDERS}test_second_order_solvers_have_order_two'),
        ('+ self.signal[s] * (1 - exp**g) * D', '+ self.signal[s] * (1 - exp) * D',
         f'{TWO_M} {DPM}test_first_order_with_noise_is_ancestral '
         f'{DPM}test_the_equation_with_noise_has_this_step'),
        ('self.noise[s] / self.noise[t] * exp ** (g - 1) * xt',
         'self.noise[s] / self.noise[t] * xt',
         f'{TWO_M} {DPM}test_first_order_with_noise_is_ancestral'),
        ('self.noise[s] / self.noise[t] * exp ** (g - 1) * xt',
         'self.signal[s] / self.signal[t] * exp ** (g - 1) * xt',
         f'{TWO_M} {DPM}test_first_order_is_ddim'),
        ('(1 - exp**2) ** 0.5 * noise', '(1 - exp) ** 0.5 * noise',
         f'{TWO_M} {DPM}test_first_order_with_noise_is_ancestral '
         f'{DPM}test_the_equation_with_noise_has_this_step'),
        ('and h < math.inf', 'and h > 0', f'{CONTRACT}test_the_last_step_lands_on_x0_hat'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/utils.py',
        ('last: float = 0.02', 'last: float = 0.015',
         f'{DPM}test_log_signal_to_noise_at_both_ends'),
    ),
    # ## PNDM
    *mutants(
        f'{FOLDER}pndm.py',
        ('(1 / 6, 2 / 6, 2 / 6, 1 / 6)', '(1 / 4, 1 / 4, 1 / 4, 1 / 4)', STEPS),
        ('(1 / 6, 2 / 6, 2 / 6, 1 / 6)', '(1, 0, 0, 0)', STEPS),
        ('eps = (known[0] + self.predict(self.transfer(xt, known[0], t, s), s)[0]) / 2',
         'eps = known[0]', STEPS),
        ('(3 / 2, -1 / 2)', '(1.0, 0.0)',
         f'{STEPS} {PNDM}test_weights_integrate_polynomials'),
        ('(23 / 12, -16 / 12, 5 / 12)', '(23 / 12, -15 / 12, 4 / 12)',
         f'{STEPS} {PNDM}test_weights_integrate_polynomials'),
        ('(55 / 24, -59 / 24, 37 / 24, -9 / 24)', '(55 / 24, -58 / 24, 36 / 24, -9 / 24)',
         f'{STEPS} {PNDM}test_weights_integrate_polynomials'),
        ('(55 / 24, -59 / 24, 37 / 24, -9 / 24)', '(1.0, 0.0, 0.0, 0.0)',
         f'{ORDERS}test_pndm_has_order_two'),
        ('m = (t + s) // 2', 'm = t', STEPS),
    ),
    # ## Guidance
    *mutants(
        'labml_nn/diffusion/guidance.py',
        ('(1 + self.scale) * eps[:, :n]', 'self.scale * eps[:, :n]',
         f'{GUIDANCE}test_guided_score_of_gaussian_classes'),
        ('- self.scale * eps_uncond[:, :n]', '- (self.scale - 1) * eps_uncond[:, :n]',
         f'{GUIDANCE}test_guided_score_of_gaussian_classes'),
        ('if self.scale == 0:', 'if self.scale == 1:',
         f'{GUIDANCE}test_both_guesses_are_made_in_one_batch'),
        ('return self.model(xt, t, label)\n', 'return self.model(xt, t, label * 0 + NO_LABEL)\n',
         f'{GUIDANCE}test_scale_0_is_the_conditional_model'),
        ('torch.cat([label, torch.full_like(label, NO_LABEL)])', 'torch.cat([label, label])',
         f'{GUIDANCE}test_noising_does_not_commute_with_guiding '
         f'{GUIDANCE}test_guided_score_of_gaussian_classes'),
    ),
    # ## Edits
    *mutants(
        f'{FOLDER}ddim.py',
        ('yield t, xt, x0_hat', 'yield t, xt.clone(), x0_hat',
         f'{EDITS}test_a_chain_goes_on_from_what_is_written'),
    ),
    *mutants(
        f'{FOLDER}contract.py',
        ('added = self.noise[t] ** 2 - (kept * self.noise[s]) ** 2',
         'added = self.noise[t] ** 2 - self.noise[s] ** 2',
         f'{EDITS}test_up_again_is_the_forward_process {EDITS}test_steps_of_diffusers'),
        ('return kept * xs', 'return kept**2 * xs',
         f'{EDITS}test_up_again_is_the_forward_process '
         f'{EDITS}test_an_edit_is_noise_and_the_way_back '
         f'{EDITS}test_resampling_on_a_gaussian_in_closed_form'),
    ),
    *mutants(
        'labml_nn/diffusion/editing.py',
        ('eps, noise = way.start(tuple(x0.shape), seed, first=first)',
         'eps, noise = way.start(tuple(x0.shape), seed)',
         f'{EDITS}test_same_seed_and_place_same_image'),
        ('way.noised(x0, -1, way.tau[-1], eps)', 'way.noised(x0, -1, way.tau[0], eps)',
         f'{EDITS}test_an_edit_is_noise_and_the_way_back'),
        ('way.noised(x0, -1, way.tau[-1], eps)', 'way.noised(3 * x0, -1, way.tau[-1], eps)',
         f'{EDITS}test_from_the_end_it_is_plain_sampling'),
        ('return xt if self.n_steps else x0', 'return xt if self.n_steps else 0.99 * x0',
         f'{EDITS}test_no_steps_return_the_image'),
        ('way.noised(x0, -1, s, noise(xt.shape, xt.device))',
         'way.noised(x0, -1, way.tau[0], noise(xt.shape, xt.device))',
         f'{EDITS}test_known_pixels_are_noised_as_far_as_the_chain_is '
         f'{EDITS}test_one_resampling_is_replacement'),
        ('if s >= 0 else x0', 'if s >= 0 else 0.999 * x0',
         f'{EDITS}test_known_pixels_are_kept_to_the_last_bit'),
        ('xt.copy_(torch.where(anew, xt, known))', 'xt.copy_(xt)',
         f'{EDITS}test_replacement_on_a_gaussian_in_closed_form '
         f'{EDITS}test_numbers_of_replacement {EDITS}test_the_mean_solves_its_equation '
         f'{EDITS}test_without_noise_it_goes_a_third_of_the_way'),
        ('way.noised(xt, way.before(top), way.tau[-1], z)',
         'way.noised(xt, way.before(top), way.tau[-1], 0 * z)',
         f'{EDITS}test_resampling_on_a_gaussian_in_closed_form {EDITS}test_steps_of_diffusers'),
        ('range(resamplings - 1)', 'range(resamplings)',
         f'{EDITS}test_one_resampling_is_replacement {EDITS}test_the_walk_is_that_of_the_paper '
         f'{EDITS}test_what_is_missing_falls_with_the_resamplings '
         f'{EDITS}test_the_walk_of_diffusers_is_a_step_lower'),
        ('range(1, n_steps - jump + 1, jump)', 'range(1, n_steps - jump, jump)',
         f'{EDITS}test_the_walk_is_that_of_the_paper'),
    ),
    *mutants(
        'tests/kit/pair.py',
        ('mean = U * rho / W**U', 'mean = rho / W**U',
         f'{EDITS}test_many_resamplings_come_to_the_right_answer '
         f'{EDITS}test_resampling_on_a_gaussian_in_closed_form'),
    ),
    *mutants(
        'tests/kit/classes.py',
        ('eps = (1 - a) ** 0.5 * centred / variance', 'eps = (1 - a) * centred / variance',
         f'{GUIDANCE}test_the_best_guess_is_the_slope '
         f'{GUIDANCE}test_the_model_contains_a_classifier'),
        ('posterior = (log_q + PRIOR.log()).softmax(dim=1)', 'posterior = log_q.softmax(dim=1)',
         f'{GUIDANCE}test_the_best_guess_is_the_slope '
         f'{GUIDANCE}test_the_model_contains_a_classifier'),
    ),
]  # fmt: skip
