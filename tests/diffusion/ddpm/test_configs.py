"""The options of a run: each is checked, and labml is handed plain values and types."""

import math

import pytest
import torch
from labml.configs import BaseConfigs

from labml_nn.cli.declared import declarations, may_be_none
from labml_nn.cli.options import option_meanings, option_types, option_values
from labml_nn.data.datasets import DATASETS, Images
from labml_nn.diffusion.ddpm.configs import (
    FREE,
    FREE_ON_RESUME,
    PRESETS,
    Configs,
    build,
    data_of,
    make_configs,
)
from labml_nn.diffusion.ddpm.notes import notes
from labml_nn.diffusion.samplers import DDIM, SAMPLERS, make_sampler
from labml_nn.diffusion.schedules import SCHEDULES, linear

# What no value of a type is
WRONG = {
    int: [1.5, '1', True, None],
    float: ['1', True, None, math.nan, math.inf, -math.inf, 10**400],
    bool: [1, 'yes', None],
    str: [1, None, b'x'],
    tuple[int, ...]: [1, (1.5,), ('1',), (1,) * 65],
    tuple[bool, ...]: [True, (1,)],
    tuple[str, ...]: ['none', (1,)],
}
# The last numbers that are taken, and what is refused beyond them
LARGE, COUNT, POSITIVE = ([2**16], [2**16 + 1]), ([0], [-1]), ([1], [0, -1])
SHARE = ([0.0, 1.0], [-0.1, 1.1])
LIMITS = {
    'bad_pictures': (['refuse', 'skip'], ['look']),
    'image_size': LARGE, 'image_channels': LARGE, 'n_channels': LARGE, 'n_groups': LARGE,
    'ch_mults': ([(1024,)], [(1, 1025)]), 'n_blocks': ([32], [33]),
    'dropout': ([0.0], [-0.1, 1.0]), 'n_classes': ([0, 10**6], [-1, 10**6 + 1]),
    'network': (['dit'], ['vit']), 'patch_size': ([1024], [0, 1025]),
    'depth': ([512], [0, 513]), 'n_heads': POSITIVE, 'p_uncond': SHARE,
    'n_steps': ([1, 10**6], [0, 10**6 + 1]),
    'schedule': (['cosine'], ['cosin']), 'target': (['x0'], ['x']),
    'weight': (['min_snr'], ['minsnr']), 'noise_levels': (['lognormal'], ['log']),
    'sigma_data': ([0.5], [0.0, -1.0]), 'distill': (['none', 'reflow'], ['reflo']), 'calls': COUNT,
    'batch_size': POSITIVE,
    'learning_rate': ([1e-9], [0.0, -1.0]), 'warmup': COUNT, 'cooldown': COUNT,
    'grad_clip': ([1e-9], [0.0, -1.0]), 'steps': COUNT, 'seed': ([0, 2**63 - 1], [-1, 2**63]),
    'log_every': POSITIVE, 'save_every': POSITIVE, 'save_minutes': ([0, 0.1], [-0.1]),
    'keep_checkpoints': POSITIVE, 'preview_every': POSITIVE, 'n_previews': COUNT,
    'n_samples': COUNT, 'preview_sampler': (['ddim'], ['ddmi']), 'preview_steps': POSITIVE,
    'micro_batch': COUNT, 'track': ([('wandb', 'none'), ('',)], [('labml', 'wand')]),
    'workers': COUNT, 'threads': COUNT,
}  # fmt: skip
# Of these any value of the type is taken here: what it names is looked for later
FREELY = {
    'dataset', 'data_root', 'flip', 'is_attn', 'variance', 'zero_snr', 'ema_decay', 'preview_share',
    'device', 'precision', 'compile', 'channels_last', 'activation_checkpointing', 'teacher',
}  # fmt: skip
# The words that a message has for an option that is a name in a table
WORDS = {
    'preview_sampler': 'sampler', 'track': 'tracker', 'noise_levels': 'distribution',
    'distill': 'method',
}  # fmt: skip


@pytest.mark.parametrize('name', option_types(Configs))
def test_every_option_refuses_what_it_cannot_be(name):
    taken, refused = LIMITS.get(name, ([], []))
    for value in taken:
        assert getattr(make_configs({name: value}), name) == value
    for value in refused:
        with pytest.raises(ValueError, match=f'{name}=|no {WORDS.get(name, name)} '):
            make_configs({name: value})
    for value in WRONG[option_types(Configs)[name]]:
        if value is None and name in may_be_none(Configs):
            assert getattr(make_configs({name: None}), name) is None
            continue
        with pytest.raises(ValueError, match=f'^{name}(=.*)? is (a|no) '):
            make_configs({name: value})


def test_nothing_may_be_said_of_the_layout_alone():
    assert may_be_none(Configs) == {'channels_last'}


def test_the_walk_knows_every_option_and_every_check():
    assert not set(LIMITS) & FREELY
    assert set(LIMITS) | FREELY == set(option_types(Configs))
    for name, (_, *said) in declarations(Configs).items():
        for check in filter(callable, said):
            assert any(refuses(check, name, value) for value in LIMITS[name][1]), (name, check)


def refuses(check, name, value):
    try:
        for item in value if isinstance(value, tuple) else [value]:
            check(name, item)
    except ValueError:
        return True
    return False


def test_what_may_differ_is_said_on_the_line():
    """How long, how often and where; nothing of what is trained."""
    assert {
        'steps', 'device', 'workers', 'data_root', 'log_every', 'save_every', 'save_minutes',
        'keep_checkpoints', 'preview_every', 'n_previews', 'n_samples', 'preview_sampler',
        'preview_steps', 'preview_share', 'precision', 'compile', 'channels_last', 'threads',
        'micro_batch', 'activation_checkpointing', 'track', 'teacher',
    } == FREE_ON_RESUME  # fmt: skip
    for name in FREE_ON_RESUME:
        assert declarations(Configs)[name].count(FREE) == 1


def test_a_name_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match='no option batchsize: did you mean batch_size'):
        make_configs({'batchsize': 3})


def test_an_entry_of_its_table_is_all_that_a_run_needs(monkeypatch):
    """Of a schedule, a data set and a sampler that are new: no other page names them."""
    images = Images('own', torch.zeros(5, 1, 8, 8, dtype=torch.uint8))
    monkeypatch.setitem(SCHEDULES, 'own', lambda T: linear(T) * 1.5)
    monkeypatch.setitem(DATASETS, 'own', lambda root, size, channels: images)
    monkeypatch.setitem(SAMPLERS, 'own', DDIM)
    c = make_configs({'dataset': 'own', 'schedule': 'own', 'preview_sampler': 'own'})
    assert data_of(c) is images
    diffusion = build(c)
    assert torch.equal(diffusion.beta, (linear(1000) * 1.5).float())
    assert isinstance(make_sampler(c.preview_sampler, diffusion), DDIM)
    assert notes(c, images)  # which come before a training, and look at the schedule
    with pytest.raises(ValueError, match='there is linear, cosine, straight, own'):
        make_configs({'schedule': 'other'})


def test_a_configuration_that_is_made_does_not_change():
    """Neither a value that was read, nor one that nobody has read yet."""
    c = make_configs({'steps': 3})
    assert c.steps == 3
    late = 'comes too late: .* make_configs'
    with pytest.raises(ValueError, match=rf'steps=4 {late}'):
        c.steps = 4
    with pytest.raises(ValueError, match=rf'log_every=1 {late}'):
        c.log_every = 1
    # As labml's `experiment.configs` does it, for which all is there to be recorded
    with pytest.raises(ValueError, match=rf'seed=5 {late}'):
        c._set_values({'seed': 5})
    c._set_values({})
    assert option_values(c) == {**option_values(Configs()), 'steps': 3}


def test_labml_is_handed_plain_values_and_types():
    """Its record of a run names types: no meanings, and no places in memory."""
    c = make_configs(PRESETS['tests'])
    assert isinstance(c, BaseConfigs)
    record = c._to_json()
    assert set(option_types(Configs)) <= set(record)
    for name, kind in option_types(Configs).items():
        assert record[name]['type'] == str(kind)


def test_the_notebooks_names_are_labmls_alone():
    assert not {'epochs', 'eps_model', 'data_loader'} & set(option_meanings(Configs))
    assert {'epochs', 'eps_model', 'data_loader'} <= set(Configs()._to_json())
