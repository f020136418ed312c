"""Of distillation, consistency sampling and UniPC."""

from tests.mutants import Mutant, mutants

PAGE = 'labml_nn/diffusion/distillation.py'
T, S = 'diffusion/test_distillation.py::', 'diffusion/samplers/'
UNIPC, JUMP = f'{S}test_unipc.py::', f'{S}test_consistency.py::'
ORDERS, COMMAND = f'{S}test_orders.py::', 'diffusion/ddpm/test_distill.py::'
EXERCISES = 'diffusion/test_exercises.py::'

MUTANTS: list[Mutant] = [
    *mutants(
        PAGE,
        ('return x, label, (xt - a * x) / s, t', 'return x, label, (xt - a * x) / a, t',
         f'{T}test_a_lesson_makes_the_same_noisy_image {T}test_the_loss_of_a_lesson'),
        ('ratio = s_s / s_t', 'ratio = s_s / s_t * a_s / a_t',
         f'{T}test_one_step_ends_where_the_two_have_ended '
         f'{T}test_the_aim_is_a_mean_of_two_guesses '
         f'{T}test_perfect_students_draw_what_the_first_teacher_draws'),
        ('s_s * (xt - a_t * x0_hat) / s_t', 's_s * (xt - a_s * x0_hat) / s_t',
         f'{T}test_perfect_students_draw_what_the_first_teacher_draws '
         f'{T}test_the_true_function_loses_what_the_steps_lose'),
        ("'consistency': Method('consistency', GRID)", "'consistency': Method('consistency', 24)",
         f'{T}test_the_students_steps_are_among_the_teachers'),
        ('return torch.where(is_image, xt, x0_hat)', 'return x0_hat',
         f'{T}test_the_consistency_function_of_a_gaussian'),
        ('x = end(target, ddim_step(teacher, xt, t, s), s)',
         'x = end(target, teacher.q_sample(x0, s.clamp(min=0)), s)',
         f'{T}test_the_loss_is_zero_where_the_teacher_ends '
         f'{T}test_the_true_function_loses_what_the_steps_lose'),
        ("return spaced('trailing', n_steps if grid is None else grid or calls, n_steps)",
         "return spaced('leading', n_steps if grid is None else grid or calls, n_steps)",
         f'{EXERCISES}test_what_a_student_of_four_calls_knows '
         f'{T}test_the_students_steps_are_among_the_teachers'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/contract.py',
        ("'trailing': lambda i: (2 * (i + 1) * T + n) // (2 * n) - 1",
         "'trailing': lambda i: -(-(i + 1) * T // n) - 1 - (n == 4)",
         f'{T}test_the_students_steps_are_among_the_teachers '
         f'{EXERCISES}test_what_a_student_of_four_calls_knows'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/ddim.py',
        ('xt = self.signal[s] * x0_hat + direction * eps',
         'xt = self.signal[s] * x0_hat + 0.9 * direction * eps',
         f'{T}test_the_end_of_the_ode_of_a_gaussian {EXERCISES}test_the_ends_of_unit_data'),
    ),
    *mutants(
        'labml_nn/diffusion/targets.py',
        ("'snr': lambda snr, own: snr,", "'snr': lambda snr, own: own,",
         f'{EXERCISES}test_what_snr_leaves_of_the_first_step'),
        ('return (A * xt - s * y) / self.det(a, s)', 'return (A * xt + s * y) / self.det(a, s)',
         f'{T}test_the_guess_is_a_skip_and_an_output'),
        ("'v': Target(lambda a, s: (a, -s))", "'v': Target(lambda a, s: (s, a))",
         f'{T}test_the_condition_at_the_image {T}test_v_is_the_papers_choice '
         f'{T}test_how_large_an_error_of_the_output_becomes'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/consistency.py',
        ('self.noised(x0_hat, -1, s,', 'self.noised(x0_hat, s, t,',
         f'{JUMP}test_a_step_is_a_jump_and_new_noise '
         f'{JUMP}test_any_number_of_calls_gives_the_data'),
        ('_, x0_hat = self.predict(xt, t)', 'x0_hat = xt',
         f'{JUMP}test_an_ordinary_model_loses_spread'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/unipc.py',
        ('return math.log(a / s) if', 'return math.log(a) if',
         f'{UNIPC}test_equation_8_counted_from_the_step'),
        ('moments.append(h**k - k * moments[-1])', 'moments.append(h**k - moments[-1])',
         f'{UNIPC}test_powers_are_integrated_exactly'),
        ('share = (h / 2 - second) / (first - second)', 'share = (h - second) / (first - second)',
         f'{UNIPC}test_the_predictor_of_order_two_is_2m '
         f'{ORDERS}test_unipc_has_one_order_more_than_guesses'),
        ('xt = xt + self.signal[t] * (with_it', 'xt = xt + 0 * self.signal[t] * (with_it',
         f'{UNIPC}test_a_corrected_step_is_the_step_taken_again '
         f'{ORDERS}test_unipc_has_one_order_more_than_guesses'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/distill.py',
        ('if checkpoint.exists(folder):', 'if folder.name == "":',
         f'{COMMAND}test_the_same_command_goes_on'),
    ),
]  # fmt: skip
