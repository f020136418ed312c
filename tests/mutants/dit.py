"""Of the transformer."""

from tests.mutants import Mutant, mutants

T = 'diffusion/ddpm/test_dit.py::'
EXERCISES = 'diffusion/test_exercises.py::'

MUTANTS: list[Mutant] = [
    *mutants(
        'labml_nn/diffusion/ddpm/dit.py',
        ('x = x.permute(0, 2, 4, 3, 5, 1)', 'x = x.permute(0, 2, 4, 5, 3, 1)',
         f'{T}test_patches_are_cut_and_put_back {T}test_a_token_is_a_map_of_its_pixels '
         f'{T}test_the_network_is_that_of_diffusers'),
        ('x = x.permute(0, 5, 1, 3, 2, 4)', 'x = x.permute(0, 5, 1, 4, 2, 3)',
         f'{T}test_patches_are_cut_and_put_back {T}test_the_network_is_that_of_diffusers'),
        ('return x.flatten(3).flatten(1, 2)', 'return x.flatten(3).flatten(1, 2)[:, ::2]',
         f'{EXERCISES}test_tokens_of_a_picture {T}test_every_command_takes_a_transformer'),
        ('frequencies(n_channels // 4, last=False)', 'frequencies(n_channels // 4, last=True)',
         f'{T}test_positions_are_waves_of_column_and_row '
         f'{T}test_the_network_is_that_of_diffusers'),
        ('return torch.cat([of_column, of_row], dim=1)',
         'return torch.cat([of_row, of_column], dim=1)',
         f'{T}test_positions_are_waves_of_column_and_row '
         f'{T}test_the_network_is_that_of_diffusers'),
        ('+ self.positions(rows, columns)', '+ 0 * self.positions(rows, columns)',
         f'{T}test_a_token_is_a_map_of_its_pixels '
         f'{T}test_without_positions_patches_may_change_places'),
        ('return (1 + scale[:, None]) * h', 'return scale[:, None] * h',
         f'{T}test_modulation_of_known_values {T}test_the_block_is_the_formula'),
        ("approximate='tanh'", "approximate='none'", f'{T}test_the_block_is_the_formula'),
        ('h = h + gate1[:, None] * self.attention', 'h = h + gate2[:, None] * self.attention',
         f'{T}test_the_block_is_the_formula {T}test_the_network_is_that_of_diffusers'),
        ('h = h + gate1[:, None] * self.attention', 'h = h + (1 + gate1[:, None]) * self.attention',
         f'{T}test_a_new_block_is_the_identity'),
        ('nn.init.zeros_(module.modulation.weight)',
         'nn.init.normal_(module.modulation.weight)',
         f'{T}test_a_new_block_is_the_identity'),
        ('nn.init.zeros_(self.head.weight)', 'nn.init.normal_(self.head.weight)',
         f'{T}test_a_new_network_guesses_no_noise {EXERCISES}test_what_learns_first'),
        ('            nn.Linear(n_channels, 4 * n_channels),',
         '            nn.Linear(n_channels, 5 * n_channels),',
         f'{T}test_the_sizes_of_the_paper {T}test_print_is_the_figure '
         f'{EXERCISES}test_the_share_of_the_modulation'),
        ("found['time.label.weight'] = table[:-1] - table[-1]",
         "found['time.label.weight'] = table[:-1]", f'{T}test_the_authors_weights_are_read'),
        ('kernel.permute(0, 2, 3, 1)', 'kernel.permute(0, 3, 2, 1)',
         f'{T}test_the_authors_weights_are_read'),
    ),
    *mutants(
        'labml_nn/diffusion/ddpm/unet.py',
        ('self.label(label.clamp(min=0)) * (label >= 0)[:, None]', 'self.label(label.clamp(min=0))',
         f'{T}test_a_vector_for_no_class_goes_into_the_bias'),
    ),
]  # fmt: skip
