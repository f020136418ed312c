"""Of flow matching and the steps along straight lines."""

from tests.mutants import Mutant, mutants

MATCHING = 'diffusion/test_flow_matching.py::'
SAMPLER = 'diffusion/samplers/test_flow.py::'
ORDERS = 'diffusion/samplers/test_orders.py::'
EXERCISES = 'diffusion/test_exercises.py::'

MUTANTS: list[Mutant] = [
    *mutants(
        'labml_nn/diffusion/schedules.py',
        ('alpha_bar = (1 - tau) ** 2 / ((1 - tau) ** 2 + tau**2)',
         'alpha_bar = (1 - tau) / ((1 - tau) + tau**2)',
         f'{MATCHING}test_a_straight_line_is_a_schedule '
         f'{MATCHING}test_the_loss_is_that_of_flow_matching '
         f'{EXERCISES}test_the_middle_of_the_straight_line'),
    ),
    *mutants(
        'labml_nn/diffusion/targets.py',
        ("'u': Target(lambda a, s: (1.0, -1.0))", "'u': Target(lambda a, s: (1.0, 1.0))",
         f'{MATCHING}test_the_loss_is_that_of_flow_matching '
         f'{MATCHING}test_image_and_noise_from_the_velocity '
         f'{MATCHING}test_errors_of_the_velocity'),
        ("'u': Target(lambda a, s: (1.0, -1.0))", "'u': Target(lambda a, s: (a, -s))",
         f'{MATCHING}test_the_loss_is_that_of_flow_matching '
         f'{MATCHING}test_image_and_noise_from_the_velocity '
         f'{MATCHING}test_errors_of_the_velocity'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/score.py',
        ('return torch.softmax(-distance / (2 * var), dim=1)',
         'return torch.softmax(-distance / var, dim=1)',
         f'{MATCHING}test_the_best_answer_is_the_mean_velocity'),
    ),
    *mutants(
        'labml_nn/diffusion/flow_matching.py',
        ('slope = (tau - (1 - tau) * std**2)', 'slope = (tau - (1 - tau) * std)',
         f'{MATCHING}test_the_velocity_of_a_gaussian {MATCHING}test_the_flow_of_a_gaussian'),
        ('slope = (tau - (1 - tau) * std**2)', 'slope = (tau + (1 - tau) * std**2)',
         f'{MATCHING}test_the_velocity_of_a_gaussian {MATCHING}test_the_flow_of_a_gaussian '
         f'{EXERCISES}test_velocity_between_two_unit_gaussians'),
        ('return slope * (x - (1 - tau) * mean) - mean', 'return slope * (x - mean) - mean',
         f'{MATCHING}test_the_velocity_of_a_gaussian'),
        ('noises.append(eps)', 'noises.append(-eps)', f'{MATCHING}test_partners_come_nearer'),
        ('diffusion.errors(x0, step, eps)', 'diffusion.errors(x0, step, torch.randn_like(eps))',
         f'{MATCHING}test_straightness_of_a_gaussian'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/flow.py',
        ('self.size = [a + s for a, s in pairs]', 'self.size = [1 for _ in pairs]',
         f'{SAMPLER}test_every_xt_lies_on_a_straight_line {SAMPLER}test_eulers_method_is_ddim '
         f'{SAMPLER}test_a_step_is_heuns_along_the_line'),
        ('self.time = [s / (a + s) for a, s in pairs]', 'self.time = [s for a, s in pairs]',
         f'{SAMPLER}test_every_xt_lies_on_a_straight_line {SAMPLER}test_eulers_method_is_ddim'),
        ('xt / self.size[t] + (self.time[s] - self.time[t]) * u',
         'xt / self.size[t] + (self.time[s] - 0.5 * self.time[t]) * u',
         f'{MATCHING}test_one_step_ends_at_the_mean '
         f'{MATCHING}test_a_reflowed_gaussian_needs_one_step'),
        ('u = (u + ahead - x0_ahead) / 2', 'u = ahead - x0_ahead',
         f'{SAMPLER}test_a_step_is_heuns_along_the_line {ORDERS}test_flow_has_its_order'),
        ('self.size = [a + s for a, s in pairs]\n'
         '        self.time = [s / (a + s) for a, s in pairs]',
         'self.size = [a or 1 for a, s in pairs]\n'
         '        self.time = [s / (a or 1) for a, s in pairs]\n'
         '        self.predict = lambda x, t, of=self.predict: (of(x, t)[0], 0)',
         f'{SAMPLER}test_the_line_matters_for_heun'),
    ),
]  # fmt: skip
