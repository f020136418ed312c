"""Of the page of targets and weights."""

from tests.mutants import Mutant, mutants

T = 'diffusion/test_targets.py::'
EX = 'diffusion/test_exercises.py::'
PAGE = 'labml_nn/diffusion/targets.py'
TABLE, LOSS = (
    f'{T}test_the_weights_are_those_of_the_table',
    f'{T}test_the_same_loss_in_every_target',
)

MUTANTS: list[Mutant] = [
    # ## The maps
    *mutants(
        PAGE,
        ('return (a * y - B * xt) / self.det(a, s)', 'return (a * y + B * xt) / self.det(a, s)',
         f'{T}test_the_maps_are_inverse {T}test_v_is_turned_back '
         f'{T}test_any_mixture_is_a_target_while_it_says_more_than_xt '
         f'{T}test_losses_give_the_error_of_the_noise_too '
         f'{T}test_guidance_is_the_same_in_every_target'),
        ('return (A * xt - s * y) / self.det(a, s)', 'return (A * xt - a * y) / self.det(a, s)',
         f'{T}test_the_maps_are_inverse {T}test_v_is_turned_back '
         f'{T}test_any_mixture_is_a_target_while_it_says_more_than_xt '
         f'{T}test_the_best_models_draw_the_same_images {EX}test_an_error_of_v'),
        ('return a * A - s * B', 'return a * A + s * B',
         f'{T}test_the_maps_are_inverse {T}test_errors_of_the_targets '
         f'{T}test_any_mixture_is_a_target_while_it_says_more_than_xt '
         f'{T}test_eps_has_nothing_to_learn_at_the_end {EX}test_the_weight_of_a_straight_path '
         f'{EX}test_the_error_of_v_is_the_sum'),
        ("'v': Target(lambda a, s: (a, -s))", "'v': Target(lambda a, s: (s, -a))",
         f'{T}test_v_is_the_velocity {T}test_v_is_turned_back {T}test_errors_of_the_targets '
         f'{EX}test_an_error_of_v'),
        ("'x0': Target(lambda a, s: (0.0, 1.0))", "'x0': Target(lambda a, s: (0.0, a))",
         f'{EX}test_where_the_loss_of_a_gaussian_is {T}test_errors_of_the_targets'),
    ),
    # ## The loss
    *mutants(
        PAGE,
        ('return (self.det(a, s) / s) ** 2', 'return (self.det(a, s) / s) ** 1',
         f'{T}test_errors_of_the_targets {TABLE} {EX}test_the_weight_of_a_straight_path'),
        ('return WEIGHTS[weight](snr, own) / own', 'return WEIGHTS[weight](snr, own)',
         f'{TABLE} {LOSS}'),
        ("'min_snr': lambda snr, own: snr.clamp(max=GAMMA)",
         "'min_snr': lambda snr, own: own.clamp(max=GAMMA)", f'{TABLE} {LOSS}'),
        ("'truncated_snr': lambda snr, own: snr.clamp(min=1)",
         "'truncated_snr': lambda snr, own: snr + 1",
         f'{TABLE} {T}test_the_truncated_weight_is_the_larger_error'),
        ('squared_error(target.to_eps(xt, y, a, s), eps).detach()',
         'squared_error(y, eps).detach()', f'{T}test_losses_give_the_error_of_the_noise_too'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/utils.py',
        ('last: float = 0.02)', 'last: float = 0.03)', f'{T}test_what_the_weights_span'),
    ),
    *mutants(
        'labml_nn/diffusion/guidance.py',
        ('guided = (1 + self.scale) * eps[:, :n] - self.scale * eps_uncond[:, :n]',
         'guided = self.scale * eps[:, :n] - self.scale * eps_uncond[:, :n]',
         f'{T}test_guidance_is_the_same_in_every_target'),
    ),
    # ## Nothing left
    *mutants(
        PAGE,
        ('a = (a - a[-1]) * a[0] / (a[0] - a[-1])', 'a = (a - a[-1]) / (a[0] - a[-1])',
         f'{T}test_zero_terminal_snr_keeps_the_first_and_loses_the_last'),
        ('alpha_bar = a**2\n', 'alpha_bar = a\n',
         f'{T}test_zero_terminal_snr_keeps_the_first_and_loses_the_last'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/utils.py',
        ("if target == 'eps' and float(left) == 0:", "if target == 'x0' and float(left) == 0:",
         f'{T}test_eps_is_refused_where_nothing_is_left'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/contract.py',
        ('return self.clipped(xt, *self.guess(xt, t), t)',
         'return self.consistent(xt, self.guess(xt, t)[0], t)',
         f'{T}test_every_sampler_begins_where_nothing_is_left'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/edm.py',
        ('xt = self.signal[s] * x0_hat + self.noise[s] * eps', 'xt = self.transfer(xt, eps, t, s)',
         f'{T}test_every_sampler_begins_where_nothing_is_left'),
    ),
    *mutants(
        'labml_nn/diffusion/samplers/pndm.py',
        ('if i in self.begins or len(known) > 1:', 'if True:',
         f'{T}test_every_sampler_begins_where_nothing_is_left'),
    ),
]  # fmt: skip
