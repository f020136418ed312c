"""Of the score: what the network learns, and the two halves of a step back."""

from tests.mutants import Mutant, mutants

T = 'diffusion/ddpm/test_score.py::'

MUTANTS: list[Mutant] = [
    *mutants(
        'labml_nn/diffusion/ddpm/score.py',
        (
            'return -diffusion.eps_theta(xt, t) / noise_std',
            'return diffusion.eps_theta(xt, t) / noise_std',
            f'{T}test_score_of_one_image {T}test_score_is_the_mean_of_the_images_scores '
            f'{T}test_a_step_back_in_terms_of_the_score',
        ),
        (
            'noise_std = gather(diffusion.one_minus_alpha_bar, t, xt.ndim) ** 0.5',
            'noise_std = gather(diffusion.one_minus_alpha_bar, t, xt.ndim)',
            f'{T}test_score_of_one_image {T}test_denoising_score_matching '
            f'{T}test_a_step_back_in_terms_of_the_score',
        ),
        (
            'return gather(diffusion.beta, t, xt.ndim) / 2 * (xt + s)',
            'return gather(diffusion.beta, t, xt.ndim) * (xt + s)',
            f'{T}test_a_step_back_is_flow_and_langevin',
        ),
        (
            'return delta / 2 * s + delta**0.5 * z',
            'return delta / 2 * s + (2 * delta) ** 0.5 * z',
            f'{T}test_a_step_back_is_flow_and_langevin {T}test_langevin_forgets',
        ),
        (
            'return delta / 2 * s + delta**0.5 * z',
            'return delta * s + delta**0.5 * z',
            f'{T}test_langevin_forgets',
        ),
        (
            'return torch.softmax(-distance / (2 * var), dim=1)',
            'return torch.softmax(-distance / var, dim=1)',
            f'{T}test_weights_are_bayes_rule {T}test_tweedie {T}test_how_many_digits_count',
        ),
        (
            'mean = gather(diffusion.alpha_bar, t, 2).double() ** 0.5',
            'mean = gather(diffusion.alpha_bar, t, 2).double()',
            f'{T}test_weights_are_bayes_rule {T}test_how_many_digits_count '
            f'{T}test_score_is_the_mean_of_the_images_scores',
        ),
        (
            'mean, var = self.process[0].q_xt_x0(self.x0_hat(xt, t), t)',
            'mean, var = self.process[0].q_xt_x0(self.x0.mean(0).expand_as(xt), t)',
            f'{T}test_the_best_network_returns_the_training_images '
            f'{T}test_no_model_has_a_smaller_loss_than_the_best',
        ),
    ),
    # A chain of means is one without its noise: it must not end where the others do
    *mutants(
        'labml_nn/diffusion/ddpm/__init__.py',
        (
            'return mean + torch.where(last, 0.0, var**0.5) * z, x0_hat',
            'return mean + torch.where(last, 0.0, var) * z, x0_hat',
            f'{T}test_a_step_back_in_terms_of_the_score',
        ),
        (
            'alpha_bar_prev**0.5 * beta / one_minus_alpha_bar * x0',
            'alpha_bar_prev**0.5 * beta / one_minus_alpha_bar * x0 * 1.001',
            f'{T}test_a_chain_of_means_collapses',
        ),
    ),
]
