"""Of the pages around the mathematics: training, the formats of others, the browser."""

from tests.mutants import Mutant, mutants

DDPM = 'labml_nn/diffusion/ddpm/'
RESUMED = 'diffusion/ddpm/test_resume.py::test_cut_anywhere_and_resumed_is_the_same'
L = 'diffusion/ddpm/test_lightning.py::'
P = 'diffusion/ddpm/test_pretrained.py::'
EDIT = 'diffusion/ddpm/test_edit.py::'
WEB = 'diffusion/ddpm/test_web.py::'
TABLE = 'diffusion/ddpm/test_moving.py::test_each_line_of_the_table'
INITIAL = 'diffusion/ddpm/test_initial.py::'
BY_ODE = 'diffusion/ddpm/test_coding.py::test_the_likelihood_by_the_ode_stands_beside_the_bound'

MUTANTS: list[Mutant] = [
    # ## Training
    *mutants(
        f'{DDPM}train.py',
        ('self.descent.backward(each.mean() / n)', 'self.descent.backward(each.mean())',
         'diffusion/ddpm/test_fast.py::test_micro_batches_have_the_batchs_gradient'),
        ('eps.split(m), labels, strict', '[eps[:m]] * n, labels, strict',
         'diffusion/ddpm/test_fast.py::test_micro_batches_have_the_batchs_gradient'),
    ),
    *mutants(
        'labml_nn/runs/run.py',
        ("self.random = own['random'] if 'random' in own else checkpoint.random_states()",
         'self.random = checkpoint.random_states()', RESUMED),
        ('start=self.step, flip=c.flip,', 'start=0, flip=c.flip,', RESUMED),
        ("training.descent.restore(state['optimizer'], state.get('scaler'))", 'pass', RESUMED),
    ),
    *mutants(
        f'{DDPM}configs.py',
        ("        if not name.startswith('_'):\n            self._check_open",
         '        if False:\n            self._check_open',
         'diffusion/ddpm/test_configs.py::test_a_configuration_that_is_made_does_not_change'),
    ),
    *mutants(
        f'{DDPM}dry_run.py',
        ('with local_only():', 'if True:',
         'diffusion/ddpm/test_dry_run.py::test_nothing_is_downloaded_or_unpacked'),
        ('shape = (c.batch_size, c.image_channels,', 'shape = (c.batch_size, 1,',
         'diffusion/ddpm/test_dry_run.py::test_nothing_is_downloaded_or_unpacked'),
    ),
    # ## Another loop
    *mutants(
        f'{DDPM}lightning.py',
        ('draw_steps(len(x0), self.c.n_steps,', 'draw_steps(len(x0), self.c.n_steps // 2,',
         f'{L}test_same_losses_as_our_loop'),
        ('partial(share_of_rate, c)', 'lambda step: 1.0', f'{L}test_same_losses_as_our_loop'),
        ('if self.kept:', 'if False:', f'{L}test_resumed_is_as_if_never_stopped'),
        ('if self.random is not None:', 'if False:', f'{L}test_resumed_is_as_if_never_stopped'),
        ('start=start, flip=c.flip,', 'start=start,', f'{L}test_every_option_is_used_or_refused'),
    ),
    # ## Published weights
    *mutants(
        f'{DDPM}pretrained.py',
        ("'n_blocks': number(config, 'layers_per_block', file)", "'n_blocks': 2",
         f'{P}test_odd_architectures'),
        (r"(r'(attentions\.\d+)\.key\.', r'\1.to_k.')",
         r"(r'(attentions\.\d+)\.key\.', r'\1.to_x.')", f'{P}test_published'),
        ("'fixed_large' if is_large else 'fixed_small'",
         "'fixed_small' if is_large else 'fixed_large'",
         f'{P}test_round_trip {P}test_their_pipeline_loads_and_samples_ours'),
        ("'clip_sample': clip_x0,", "'clip_sample': True,", f'{P}test_round_trip'),
        ("{**settings, 'beta_schedule': 'linear'}",
         "{**settings, 'beta_schedule': 'scaled_linear'}",
         f'{P}test_their_pipeline_loads_and_samples_ours'),
        ('return torch.linspace(start, end, n, dtype=torch.float64)\n',
         'return torch.linspace(start**0.5, end**0.5, n, dtype=torch.float64) ** 2\n',
         f'{P}test_a_whole_image'),
        ('return diffusion, unet, options', 'return unet, diffusion, options',
         f'{P}test_the_snippet_of_the_page'),
        ("Sampler.from_run(run, device='cpu', sampler='ddpm')",
         "Sampler.from_run(run, device='cpu', sampler='ddpm', weights='raw')",
         f'{P}test_a_run_is_exported_with_a_card'),
    ),
    *mutants(
        f'{DDPM}forerunner.py',
        ('z = torch.randn_like(xt) if z is None', 'z = torch.zeros_like(xt) if z is None', TABLE),
        ("raise RuntimeError('train() has no epochs of its own: call run(),",
         "raise ValueError('train() has no epochs of its own: call run(),", TABLE),
    ),
    # ## Pages that a run leaves
    *mutants(
        f'{DDPM}report.py',
        ("\"default-src 'none'; img-src", "\"default-src 'self'; img-src",
         'diffusion/ddpm/test_report.py::test_the_page_stands_alone'),
    ),
    *mutants(
        'labml_nn/cli/templates/base.html',
        ('<meta http-equiv', '<link rel="icon" href="icon.png">\n<meta http-equiv',
         'diffusion/ddpm/test_report.py::test_the_page_stands_alone'),
    ),
    *mutants(
        f'{DDPM}engine/noise.js',
        ('0x9908b0df', '0x9908b0de', f'{WEB}test_noise_is_torchs_to_the_last_bit'),
    ),
    *mutants(
        f'{DDPM}engine/unet.js',
        ('const silu = (x) => x / (1 + Math.exp(-x));', 'const silu = (x) => Math.max(x, 0);',
         f'{WEB}test_the_forward_pass_is_the_one_of_pytorch'),
        ('s[8 + i] = d2 - d1;', 's[8 + i] = d1 - d2;', f'{WEB}test_tiles_make_the_convolution'),
        ('s[4 + i] = b - e - f;', 's[4 + i] = b - e + f;', f'{WEB}test_tiles_make_the_convolution'),
        ('s[6 + i] = (a - b + c) / 2;', 's[6 + i] = a - b + c;',
         f'{WEB}test_tiles_make_the_convolution'),
    ),
    *mutants(
        f'{DDPM}engine/samplers.js',
        ('v + h / (2 * last) * (v - old[i])', 'v + last / (2 * h) * (v - old[i])',
         f'{WEB}test_every_sampler_draws_the_picture_of_the_command_line'),
        ('known = [first, ...known.slice(0, 3)];', 'known = [first, ...known.slice(0, 2)];',
         f'{WEB}test_every_sampler_draws_the_picture_of_the_command_line'),
    ),
    # ## Commands on pictures, and on published models
    *mutants(
        'labml_nn/data/decode.py',
        ('image_size, faces=faces)) > 127', 'image_size, faces=faces)) <= 127',
         f'{EDIT}test_what_is_made_anew'),
        ("return transparent if transparent.getbbox() else picture.convert('L')",
         "return picture.convert('L')", f'{EDIT}test_what_is_made_anew'),
    ),
    *mutants(
        f'{DDPM}pretrained.py',
        ("options = {'clip_x0': config['clip_x0'], **options}",
         "options = {**options, 'clip_x0': not config['clip_x0']}",
         f'{EDIT}test_a_published_model_edits_and_inpaints '
         f'{EDIT}test_commands_take_a_published_model'),
        ("head_channels=config.get('attention_head_dim', 8)",
         "head_channels=config.get('attention_head_dim')", f'{P}test_their_defaults'),
        ("cosine_first=bool(default['flip_sin_to_cos'])", 'cosine_first=False',
         f'{P}test_their_defaults {P}test_each_of_their_defaults_matters'),
        ("'downsample_padding': (1, (0, 1))", "'downsample_padding': (0, (0, 1))",
         f'{P}test_their_defaults'),
        ("'freq_shift': (0, (1, 0))", "'freq_shift': (1, (1, 0))", f'{P}test_their_defaults'),
        ("'norm_eps': (1e-5, float, 1e-12, 1)", "'norm_eps': (1e-6, float, 1e-12, 1)",
         f'{P}test_their_defaults'),
        ("head_channels=config.get('attention_head_dim', 8)",
         "head_channels=config.get('attention_head_dim', 4)", f'{P}test_their_defaults'),
        ("norm_eps=number(config, 'norm_eps', file)", 'norm_eps=1e-5',
         f'{P}test_each_of_their_defaults_matters'),
        ("        'norm_eps': unet.variant.norm_eps,\n", "        'norm_eps': 1e-6,\n",
         f'{P}test_their_defaults'),
        ("symmetric=bool(default['downsample_padding'])", 'symmetric=True',
         f'{P}test_each_of_their_defaults_matters'),
        ("last_frequency=bool(default['freq_shift'])", 'last_frequency=False',
         f'{P}test_each_of_their_defaults_matters'),
    ),
    # ## Weights of another run, and what test images have
    *mutants(
        f'{DDPM}initial.py',
        ("NAMES = {'ema': 'ema', 'raw': 'model'}", "NAMES = {'ema': 'model', 'raw': 'model'}",
         'diffusion/ddpm/test_initial.py::test_a_run_begins_with_the_averaged_weights_of_another'),
        ('        if training.c.n_classes != self.old().n_classes:', '        if False:',
         f'{INITIAL}test_other_classes_begin_anew'),
        ("weights |= {k: v for k, v in own.items() if k.endswith('label.weight')}",
         "weights |= {k: v for k, v in own.items() if 'label' in k or 'time' in k}",
         f'{INITIAL}test_other_classes_begin_anew'),
        ('load_weights(training.model, weights,', 'load_weights(training.ema.module, weights,',
         f'{INITIAL}test_it_trains_from_there'),
        ('if c.image_size != old.image_size:', 'if c.image_size < old.image_size:',
         f'{INITIAL}test_another_size_and_another_schedule_are_noted'),
        ('(c.n_steps, c.schedule) != (old.n_steps, old.schedule)', 'c.n_steps != old.n_steps',
         f'{INITIAL}test_another_size_and_another_schedule_are_noted'),
        ('(c.dataset, c.data_root) != (old.dataset, old.data_root)',
         'c.dataset == old.dataset and c.data_root != old.data_root',
         f'{INITIAL}test_classes_of_other_data_take_the_old_places'),
        ("'n_blocks', 'n_groups',\n", "'n_blocks',\n",
         f'{INITIAL}test_mistakes_are_said_at_the_door'),
        ("            changed.append('variance')", '            pass',
         f'{INITIAL}test_mistakes_are_said_at_the_door'),
        ("    'resume': 'goes on with a run as it is',\n", '',
         f'{INITIAL}test_mistakes_are_said_at_the_door'),
        ("        if not arguments['out']:", '        if False:',
         f'{INITIAL}test_a_folder_has_to_be_named'),
    ),
    *mutants(
        f'{DDPM}notes.py',
        ('step > old_steps - c.cooldown and now > before', 'now > before',
         f'{INITIAL}test_and_only_then'),
        ('share_of_rate(old, max(step - 1, 0))', 'share_of_rate(c, max(step - 1, 0))',
         f'{INITIAL}test_and_only_then'),
        ('c.learning_rate / 4:g', 'c.learning_rate / 2:g',
         f'{INITIAL}test_going_on_after_a_cool_down_says_what_the_rate_does'),
    ),
    # ## The likelihood by the ODE, beside the bound
    *mutants(
        f'{DDPM}coding.py',
        ("bits['latent'] + found.of()[:, 0]", "bits['latent']", BY_ODE),
        ("'ode, uniform': bits['uniform']}", "'ode, uniform': -bits['uniform']}", BY_ODE),
        ('ode_bits_of(sampler.diffusion, x0, dataset.levels, a.seed, trace',
         'ode_bits_of(sampler.diffusion, x0, dataset.levels, a.seed + 1, trace', BY_ODE),
    ),
    *mutants(
        f'{DDPM}metrics.py',
        ('floor = measure(*data_features(features, unseen), y)',
         'floor = measure(*data_features(features, dataset), y)',
         'diffusion/ddpm/test_metrics.py::test_the_floor_is_of_images_that_no_run_has_seen'),
    ),
]  # fmt: skip
