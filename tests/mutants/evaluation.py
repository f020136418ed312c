"""Of what compares samples with data, of `check`, of interpolation and of the network."""

from tests.mutants import Mutant, mutants

FOLDER = 'labml_nn/evaluation/'
FRECHET, REFERENCE = 'evaluation/test_frechet.py::', 'evaluation/test_reference.py::'
SCORE, INSIDE = 'evaluation/test_inception_score.py::', 'evaluation/test_precision_recall.py::'
D = 'diffusion/ddpm/'

MUTANTS: list[Mutant] = [
    *mutants(
        f'{FOLDER}frechet.py',
        ('- 2 * np.linalg.svd', '- np.linalg.svd',
         f'{FRECHET}test_the_bias_falls_as_one_over_n '
         f'{FRECHET}test_is_the_cost_of_the_best_linear_map {REFERENCE}test_frechet_distance'),
        ('((mean_x - mean_y) ** 2).sum()', '((mean_x - mean_y) ** 2).mean()',
         f'{FRECHET}test_is_the_cost_of_the_best_linear_map {REFERENCE}test_frechet_distance'),
    ),
    *mutants(
        f'{FOLDER}inception_score.py',
        ('(np.log(p) - np.log(p_y))', '(np.log(p_y) - np.log(p))',
         f'{SCORE}test_is_the_mutual_information '
         f'{SCORE}test_lies_between_1_and_the_number_of_classes'),
        ('p_y = p.mean(axis=0)', 'p_y = p[0]', f'{SCORE}test_is_the_mutual_information'),
        ('np.exp(divergence(p[a:b]).mean())', 'divergence(p[a:b]).mean()',
         f'{SCORE}test_is_the_mutual_information '
         f'{SCORE}test_lies_between_1_and_the_number_of_classes'),
    ),
    *mutants(
        f'{FOLDER}precision_recall.py',
        ('k, axis=1)[:, k]', 'k + 1, axis=1)[:, k + 1]', f'{INSIDE}test_is_the_definition'),
        ('inside(samples, data, k).mean().item(), inside(data, samples, k).mean().item()',
         'inside(data, samples, k).mean().item(), inside(samples, data, k).mean().item()',
         f'{INSIDE}test_is_the_definition '
         f'{INSIDE}test_narrow_samples_have_precision_wide_ones_recall'),
        ('(squared(part, balls) <= radius).any(axis=1)',
         '(squared(part, balls) <= radius / 2).any(axis=1)',
         f'{INSIDE}test_is_the_definition'),
    ),
    *mutants(
        f'{FOLDER}classifier.py',
        ("if about.get('kind') != KIND:", 'if False:',
         'evaluation/test_classifier.py::test_a_file_that_is_none_is_refused'),
        ('len(text) < 6 and', 'len(text) < 7 and',
         'evaluation/test_classifier.py::test_a_file_that_is_none_is_refused'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/check.py',
        ('signal / (signal + 1 - alpha_bar)', 'signal / (signal + 1)',
         f'{D}test_check.py::test_the_best_filter_is_the_optimum_for_gaussian_data'),
        ('signal = alpha_bar * power.flatten()', 'signal = alpha_bar**0.5 * power.flatten()',
         f'{D}test_check.py::test_the_best_filter_is_the_optimum_for_gaussian_data'),
        ('(n - i) / (n + m - i) for', '(n - i) / (n + m) for',
         f'{D}test_check.py::test_how_many_are_beyond_all_images_by_chance'),
        ('padding=1, count_include_pad=False', 'padding=1',
         f'{D}test_check.py::test_a_place_at_the_edge_counts_like_any_other'),
        ('is_rare = by_chance(k, n, m) < RARE', 'is_rare = k > 0',
         f'{D}test_check.py::test_one_that_is_odd_may_be_chance'),
        ('order = [*worst, *(i for i in range(n) if i not in worst)]', 'order = list(range(n))',
         f'{D}test_metrics.py::test_check_numbers_broken_samples_and_shows_them_first'),
        ('(signal / (signal + 1 - alpha_bar)).mean()', '(signal / (signal + 1 - alpha_bar)).max()',
         f'{D}test_check.py::test_channels_have_more_in_common_than_the_filter_knows'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/unet.py',
        ('attention(q, k, v)', 'attention(k, q, v)',
         f'{D}test_unet.py::test_attention_is_the_formula'),
        ('attention(q, k, v)', 'attention(q, k, v, scale=1.0)',
         f'{D}test_unet.py::test_attention_is_the_formula'),
        ('if in_channels != out_channels:', 'if True:',
         f'{D}test_unet.py::test_parameters_of_every_preset'),
        (' sinusoids{labels} → ', ' sinusoids{labels} to ',
         f'{D}test_unet.py::test_print_is_the_figure'),
        ('self.label(label.clamp(min=0)) * (label >= 0)[:, None]', 'self.label(label.clamp(min=0))',
         f'{D}test_unet.py::test_no_label_is_label_minus_one'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/sampler.py',
        ('mixed = (1 - weight) * pair[0] + weight * pair[1]',
         'mixed = weight * pair[0] + (1 - weight) * pair[1]',
         f'{D}test_evaluate.py::test_no_steps_are_the_plain_mix'),
        ('eps = noise((n, *self.image_shape), self.device)[:1].expand(2, -1, -1, -1)',
         'eps = torch.randn(2, *self.image_shape)',
         f'{D}test_evaluate.py::test_interpolation_keeps_the_noise_level'),
        ('labelled = copy.copy(self)\n', 'labelled = self\n',
         f'{D}test_evaluate.py::test_what_one_call_is_told_is_unknown_to_the_next'),
    ),
]  # fmt: skip
