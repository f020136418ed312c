"""Of the continuous time: the schedule between the steps, the ways back, the likelihood."""

from tests.mutants import Mutant, mutants

T = 'diffusion/test_sde.py::'
EXERCISES = 'diffusion/test_exercises.py::'

MUTANTS: list[Mutant] = (
    mutants(
        'labml_nn/diffusion/sde.py',
        (
            'each = torch.log1p(-diffusion.beta.detach().cpu().double())',
            'each = -diffusion.beta.detach().cpu().double()',
            f'{T}test_whole_times_are_ddpms_steps {T}test_the_sde_makes_ddpms_step '
            f'{EXERCISES}test_the_last_beta_in_continuous_time',
        ),
        (
            'return self.log_alpha_bars[i - 1] - self.log_alpha_bars[i]',
            'return (self.log_alpha_bars[i - 1] - self.log_alpha_bars[i]) / 2',
            f'{T}test_marginals_obey_the_equations_of_their_moments '
            f'{T}test_the_density_obeys_fokker_planck {T}test_every_eta_keeps_the_densities '
            f'{T}test_in_lambda_beta_is_gone',
        ),
        (
            'return beta / 2 * x + (1 + eta**2) / 2 * beta * self.score(x, t)',
            'return beta / 2 * x + (1 + eta) / 2 * beta * self.score(x, t)',
            f'{T}test_every_eta_keeps_the_densities',
        ),
        (
            'return x + dt * self.backward_drift(x, t, eta) + noise * z',
            'return x + dt * self.backward_drift(x, t, 0) + noise * z',
            f'{T}test_a_step_of_the_reverse_sde_is_diffusers',
        ),
        (
            'return share * x - share**0.5 * self.eps(x, self.time(lam))',
            'return share * x - share * self.eps(x, self.time(lam))',
            f'{T}test_in_lambda_beta_is_gone {T}test_the_solution_is_the_closed_one '
            f'{T}test_the_log_density_changes_by_the_divergence '
            f'{T}test_the_likelihood_is_the_density '
            f'{T}test_what_the_start_from_a_unit_gaussian_costs '
            f'{EXERCISES}test_paths_of_a_gaussian',
        ),
        (
            'return (log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))) / 2',
            'return log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))',
            f'{T}test_the_linear_half_is_solved',
        ),
        (
            'trace += (rows * unit).flatten(2).sum((0, 2))',
            'trace += rows.flatten(2).sum((0, 2))',
            f'{T}test_hutchinson_has_no_bias {T}test_the_likelihood_is_the_density '
            f'{T}test_the_log_density_changes_by_the_divergence',
        ),
        (
            'return y.detach(), (row * self.signs).flatten(1).sum(1)',
            'return y.detach(), row.flatten(1).sum(1)',
            f'{T}test_hutchinson_has_no_bias {EXERCISES}test_two_jacobians',
        ),
        (
            'return log_normal(xT, 1.0) + gained',
            'return log_normal(xT, 1.0) - gained',
            f'{T}test_the_likelihood_is_the_density '
            f'{T}test_the_bits_of_x_t_and_of_the_rest_are_those_of_the_image '
            f'{T}test_what_the_start_from_a_unit_gaussian_costs '
            f'{T}test_uniform_noise_gives_a_bound',
        ),
        (
            'nats = log_normal(noise, var) - log_density',
            'nats = log_normal(noise, 1.0) - log_density',
            f'{T}test_the_bits_of_x_t_and_of_the_rest_are_those_of_the_image',
        ),
        (
            'return -(log_p / D + math.log(w)) / math.log(2)',
            'return -(log_p / D - math.log(w)) / math.log(2)',
            f'{T}test_uniform_noise_gives_a_bound',
        ),
    )
    + mutants(
        'labml_nn/diffusion/samplers/ddim.py',
        (
            'xt = self.signal[s] * x0_hat + direction * eps',
            'xt = self.signal[s] * x0_hat + direction * 0.99 * eps',
            f'{T}test_ddim_integrates_the_ode_with_order_one',
        ),
    )
    + mutants(
        'labml_nn/diffusion/ddpm/__init__.py',
        (
            "'sigma2': beta if variance == 'beta' else beta_tilde,",
            "'sigma2': 0.9 * (beta if variance == 'beta' else beta_tilde),",
            f'{T}test_ancestral_integrates_the_reverse_sde_with_weak_order_one',
        ),
    )
)
