"""What calls the mathematics hands on what it should: steps, modes, weights, bounds, seeds."""

import copy
import csv
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from labml_nn.data.datasets import IndexStream, load_dataset
from labml_nn.diffusion.ddpm import DenoiseDiffusion, coding, experiment, likelihood, metrics
from labml_nn.diffusion.ddpm import train as page
from labml_nn.diffusion.ddpm.configs import PRESETS, make_configs
from labml_nn.diffusion.ddpm.ema import EMA
from labml_nn.diffusion.ddpm.likelihood import Bound, bound, decoder_log_prob, normal_kl, prior_bits
from labml_nn.diffusion.ddpm.sampler import Sampler
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.ddpm.utils import ShortChainWarning
from labml_nn.diffusion.learned_variance import hybrid_loss
from labml_nn.diffusion.samplers import DDIM, PNDM, DPMSolver, make_sampler, spaced
from labml_nn.diffusion.schedules import cosine
from labml_nn.evaluation import precision_recall
from labml_nn.evaluation.features import Features
from labml_nn.evaluation.inception_score import inception_score
from labml_nn.runs.log import Window

CPU = torch.device('cpu')


# ## Training
def training(**options):
    c = make_configs({**PRESETS['tests'], 'n_steps': 50, 'schedule': 'cosine', **options})
    return Training(c, CPU, levels=17)


def trained_on(t, n=1):
    """Some steps on random images; the training itself, and what each step was like."""
    size = t.c.image_size
    data = ((torch.rand(t.c.batch_size, 1, size, size) * 2 - 1, torch.zeros(1)) for _ in range(n))
    return list(t.steps(data))


def test_training_draws_every_step_of_the_chain():
    """The first and the last ones too, each as often as the others."""
    t = training(dropout=0.0)
    t.gradient = lambda x0, at, eps, label: (torch.tensor(0.0), torch.zeros(len(x0)))
    t.descent.step = lambda loss: (torch.tensor(0.0), torch.tensor(True))
    t.ema.update_parameters = lambda model: None
    drawn = torch.cat([step.t for step in trained_on(t, 4000 // t.c.batch_size)])
    counts = drawn.bincount(minlength=50)
    assert len(counts) == 50
    n = len(drawn) / 50
    assert float((counts - n).abs().max()) < 5 * n**0.5


def test_training_is_in_training_mode_and_clips():
    t = training(dropout=0.5)
    t.model.eval()
    trained_on(t)
    assert t.model.training
    # A gradient a billionth as long moves Adam by its epsilon alone
    moved = {}
    for clip in (1.0, 1e-12):
        t = training(grad_clip=clip, dropout=0.0)
        start = copy.deepcopy(t.model.state_dict())
        trained_on(t, 2)
        moved[clip] = max(float((t.model.state_dict()[k] - start[k]).abs().max()) for k in start)
    assert moved[1e-12] < 0.1 * moved[1.0]


def test_a_learned_variance_is_told_the_levels_of_the_data(monkeypatch):
    told = []
    exact = page.hybrid_errors

    def spy(diffusion, x0, t, eps, n_levels, label):
        told.append(n_levels)
        return exact(diffusion, x0, t, eps, n_levels, label)

    monkeypatch.setattr(page, 'hybrid_errors', spy)
    c = make_configs({**PRESETS['tests'], 'n_steps': 50, 'schedule': 'cosine',
                      'variance': 'learned'})  # fmt: skip
    trained_on(Training(c, CPU, levels=5))
    assert told == [5]


def test_mirrored_images_are_asked_for(tmp_path, monkeypatch):
    from labml_nn.runs import run as runs

    seen = []
    monkeypatch.setattr(runs, 'batches', lambda *_, **options: seen.append(options) or iter(()))
    for flip in (True, False):
        c = make_configs({**PRESETS['tests'], 'flip': flip, 'track': ()})
        data = load_dataset('digits', '', 8, 1)
        trainer = experiment.Trainer(c, tmp_path / str(flip), data, CPU)
        with pytest.raises((StopIteration, RuntimeError)):
            trainer.train(None)
    assert [options['flip'] for options in seen] == [True, False]


def test_previews_are_of_the_averaged_weights_and_clipped(tmp_path):
    c = make_configs({**PRESETS['tests'], 'track': (), 'preview_steps': 2})
    trainer = experiment.Trainer(c, tmp_path, load_dataset('digits', '', 8, 1), CPU)
    for p in trainer.training.ema.module.parameters():
        nn.init.constant_(p, 0.01)
    found = trainer.sample(2)
    sampler = experiment.preview_sampler(trainer.training.ema.module, c, 2)
    assert sampler.clip_x0
    torch.testing.assert_close(found, sampler.sample((2, 1, 8, 8), seed=0), rtol=0, atol=1e-5)
    raw = experiment.preview_sampler(trainer.training.model, c, 2).sample((2, 1, 8, 8), seed=0)
    assert not torch.allclose(found, raw, atol=1e-3)


def test_batch_statistics_are_copied_into_the_average():
    model = nn.BatchNorm1d(2)
    ema = EMA(model)
    ema.update_parameters(model)
    model.running_mean.fill_(3.0)
    ema.update_parameters(model)
    assert ema.module.running_mean.tolist() == [3, 3]


def test_each_epoch_has_an_order_of_its_own_in_each_seed():
    """Epoch 1 of seed 0 is not epoch 0 of seed 1."""
    orders = [tuple(IndexStream(50, 8, seed).epoch(e).tolist()) for seed in (0, 1) for e in (0, 1)]
    assert len(set(orders)) == 4


def test_the_loss_of_a_window_is_over_the_steps_that_were_taken():
    window = Window(50, CPU)
    t, errors = torch.tensor([0, 49]), torch.tensor([1.0, 3.0])
    for loss, good in ((2.0, True), (100.0, False), (4.0, True)):
        window.add(torch.tensor(loss), t, errors, torch.tensor(1.0), torch.tensor(good))
    row = window.row(window.sums, 2)
    assert (row['loss'], row['skipped']) == (3.0, 1)


# ## The class
def test_the_whole_chain_is_the_sampler_of_the_paper():
    d = DenoiseDiffusion(lambda xt, t: xt, 1000)
    assert make_sampler('ddpm', d).n_steps == 1000
    assert make_sampler('ddim', d).n_steps == 20


def test_constants_are_on_the_device_that_was_said():
    d = DenoiseDiffusion(nn.Linear(1, 1), 1000, device='meta')
    assert {b.device.type for b in d.buffers()} == {'meta'}


def test_beta_is_kept_in_float64_until_the_products_are_made():
    beta = torch.full((4000,), 1e-4 + 1e-11, dtype=torch.float64)
    with pytest.warns(ShortChainWarning):
        d = DenoiseDiffusion(lambda xt, t: xt, 4000, beta=beta)
    exact = (1 - beta).cumprod(0)
    assert float((d.alpha_bar.double() / exact - 1).abs().max()) < 1e-7


@pytest.mark.parametrize(('left', 'warns'), [(0.04, False), (0.06, True)])
def test_five_percent_is_the_most_that_may_be_left(left, warns, recwarn):
    DenoiseDiffusion(lambda xt, t: xt, 1, beta=torch.tensor([1 - left**2], dtype=torch.float64))
    assert bool([w for w in recwarn if w.category is ShortChainWarning]) == warns


def test_a_largest_beta_is_kept():
    assert float(cosine(100, max_beta=0.5).max()) == 0.5


def test_equal_points_are_at_no_distance():
    x = np.full((1, 48), 1e3) + np.random.default_rng(0).normal(size=(1, 48))
    both = np.repeat(x, 7, axis=0)
    assert not precision_recall.squared(both, both).any()
    # Of many points some are left with a distance by rounding, above zero as well as below
    many = np.random.default_rng(1).normal(size=(300, 48)) * 100
    assert not precision_recall.squared(many, many).diagonal().any()
    assert precision_recall.precision_recall(both, both) == (1.0, 1.0)


def test_a_step_of_the_sampler_is_clipped():
    """Where x0_hat is beyond the range, which an exact guess never is."""
    d = DenoiseDiffusion(lambda xt, t: -3 * xt, 1000)
    sampler = Sampler(d, 1, 4)
    xt, z, t = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4), torch.tensor([5, 600])
    clipped = d.p_sample(xt, t, z=z, clip_x0=True)
    assert not torch.allclose(clipped, d.p_sample(xt, t, z=z))
    assert torch.equal(sampler.p_sample(xt, t, z=z), clipped)


def test_images_to_mix_are_noised_to_the_step_before_the_first_that_is_undone(monkeypatch):
    asked = []
    d = DenoiseDiffusion(lambda xt, t: 0.1 * xt, 20, beta=cosine(20))
    exact = d.q_sample
    monkeypatch.setattr(
        d, 'q_sample', lambda x, t, eps: asked.append(t.tolist()) or exact(x, t, eps)
    )
    Sampler(d, 1, 4).interpolate(torch.zeros(1, 4, 4), torch.ones(1, 4, 4), 0.5, t_=7)
    assert asked == [[6, 6]]


# ## Samplers
@pytest.mark.parametrize(
    ('spacing', 'n', 'expected'),
    [
        ('trailing', 7, [142, 285, 428, 570, 713, 856, 999]),
        ('leading', 7, [0, 142, 285, 428, 571, 714, 857]),
        ('linspace', 7, [0, 167, 333, 500, 666, 833, 999]),
        ('quadratic', 7, [0, 27, 111, 249, 444, 693, 999]),
    ],
)
def test_steps_where_the_number_does_not_divide(spacing, n, expected):
    assert spaced(spacing, n, 1000) == expected


@pytest.mark.parametrize('start', ['prk', 'plms'])
def test_pndm_may_look_ahead_to_index_0(start):
    """Two leading steps: the first goes down to index 0 itself, which is a step and no image."""
    asked = []
    d = DenoiseDiffusion(lambda xt, t: asked.append(int(t[0])) or 0.5 * xt, 1000, beta=cosine(1000))
    with pytest.warns(ShortChainWarning):
        sampler = PNDM(d, 2, spacing='leading', start=start)
    image = sampler.sample((2, 3))
    assert asked == ([500, 250, 250, 0, 0] if start == 'prk' else [500, 0, 0])
    assert len(asked) == sampler.n_calls
    assert bool(image.isfinite().all())


class TwoHeads(nn.Module):
    """With dropout, and what modes it was called in."""

    def __init__(self):
        super().__init__()
        self.dropout, self.modes = nn.Dropout(0.5), set()

    def forward(self, xt, t):
        self.modes.add(self.training)
        return torch.cat([self.dropout(xt), 0 * xt], dim=1)


@pytest.mark.parametrize('use', [
    lambda d: make_sampler('ddpm', d, 5).sample((2, 1, 4, 4)),
    lambda d: make_sampler('ddim', d, 5).sample((2, 1, 4, 4)),
    lambda d: bound(d, torch.zeros(2, 1, 4, 4), 17),
    lambda d: d.sample((2, 1, 4, 4)),
], ids=['ancestral', 'ddim', 'bound', 'chain'])  # fmt: skip
def test_a_learned_variance_is_used_without_dropout(use):
    model = TwoHeads()
    model.train()
    use(DenoiseDiffusion(model, 20, beta=cosine(20), variance='learned'))
    assert model.modes == {False}
    assert model.training


def test_the_hybrid_loss_draws_every_step_and_normal_noise():
    seen = []

    def model(xt, t):
        seen.append((xt, t))
        return torch.cat([0 * xt, 0 * xt], dim=1)

    d = DenoiseDiffusion(model, 10, beta=cosine(10), variance='learned')
    hybrid_loss(d, torch.zeros(20_000, 1, 1, 1), None)
    ((xt, t),) = seen
    counts = t.bincount(minlength=10)
    assert float((counts - 2000).abs().max()) < 5 * 2000**0.5
    # At the last step x_t is the noise: a normal one has a fourth moment of 3, a uniform one 1.8
    last = xt[t == 9].flatten()
    last = last / last.std()
    assert float((last**4).mean()) == pytest.approx(3, abs=0.4)


# ## The bound
def test_the_prior_is_on_the_right_side():
    """Of a chain so short that the divergence the other way round is another number."""
    with pytest.warns(ShortChainWarning):
        d = DenoiseDiffusion(lambda xt, t: xt, 2, beta=torch.tensor([0.3, 0.4]))
    x0 = torch.tensor([[0.9, -0.4]])
    a = 0.7 * 0.6
    q = Normal(a**0.5 * x0.double(), (1 - a) ** 0.5)
    expected = kl_divergence(q, Normal(0.0, 1.0)).mean() / math.log(2)
    assert float(prior_bits(d, x0)) == pytest.approx(float(expected), rel=1e-5)


def test_divergences_of_nearly_equal_variances_keep_their_digits():
    """In float32, where e^delta - 1 - delta as it stands would be noise."""
    delta = torch.tensor([1e-2, 1e-3, 3e-4])
    zero = torch.zeros(3)
    found = normal_kl(zero, delta, zero, zero)
    torch.testing.assert_close(found, delta**2 / 4, rtol=5e-2, atol=2e-9)
    tiny = normal_kl(zero, torch.full((3,), 1e-7), zero, zero)
    assert bool(((tiny >= 0) & (tiny < 1e-12)).all())


def test_a_level_of_no_width_at_all_costs_a_finite_number():
    """Both ends of it rounded to the same float."""
    found = decoder_log_prob(torch.zeros(1), torch.full((1,), 1e6), torch.zeros(1), 256)
    assert bool(found.isfinite().all())


def test_pixels_off_their_level_are_refused_and_two_levels_are_taken():
    d = DenoiseDiffusion(lambda xt, t: xt, 4, beta=cosine(4))
    off = torch.tensor([[0.0, 0.3 / 8]])  # 0.3 of a level
    with pytest.raises(ValueError, match='of a level off the 17 levels'):
        bound(d, off, 17)
    assert bool(bound(d, torch.tensor([[-1.0, 1.0]]), 2).total().isfinite().all())


def test_the_bound_has_noise_of_its_own_seed():
    d = DenoiseDiffusion(lambda xt, t: 0.3 * xt, 6, beta=cosine(6))
    x0 = torch.zeros(2, 1, 4, 4)
    seeded = likelihood.SeededNoise(2, seed=0)
    assert torch.equal(bound(d, x0, 17).total(), bound(d, x0, 17, noise=seeded).total())


# ## Rate and distortion as they are written
def some_bound(T=1000):
    g = torch.Generator().manual_seed(0)
    return Bound({'beta': torch.rand(3, T + 1, generator=g)}, torch.rand(3, T, generator=g))


def test_the_table_of_bands_says_what_the_curve_says(tmp_path):
    found, n_levels = some_bound(), 17
    coding.save_curve(tmp_path / 'c.csv', found, n_levels)
    with (tmp_path / 'c.csv').open() as file:
        rows = {int(row['t']): row for row in csv.DictReader(file)}
    assert sorted(rows) == list(range(1, 1001))
    mean = found.of().mean(0)
    for line in coding.table(found, 'beta', n_levels).splitlines():
        cells = line.replace('…', '').split()
        if not cells or not cells[0].startswith('x_') or cells[0] == 'x_0':
            continue
        low = int((cells[1] if cells[1].startswith('x_') else cells[0])[2:])
        bits, _, so_far, rmse = cells[-4:]
        assert float(rmse) == pytest.approx(float(rows[low]['rmse_levels']), abs=6e-4)
        assert float(rmse) == pytest.approx(
            float(found.mse[:, low - 1].mean() ** 0.5) * 8, abs=6e-4
        )
        assert float(so_far) == pytest.approx(float(rows[low]['rate']), rel=1e-3, abs=1e-4)
        assert float(so_far) == pytest.approx(float(mean[low:].sum()), rel=1e-3, abs=1e-4)


def test_shared_latents_go_on_with_new_noise_from_their_own_step():
    asked = []

    def model(xt, t):
        asked.append((int(t[0]), len(xt)))
        return 0.1 * xt

    d = DenoiseDiffusion(model, 20, beta=cosine(20))
    sampler = Sampler(d, 1, 4, sampler='ddpm')
    frozen, end = coding.one_chain(sampler, 0, [20, 5], lambda t: None)
    assert [t for t, _ in asked] == list(reversed(range(20)))
    # x_5 is what index 5 has left behind: undone by the indices 4 .. 0
    asked.clear()
    noise = likelihood.SeededNoise(2, 0, first=1)
    others = sampler.denoise(frozen[5].expand(2, -1, -1, -1), noise, 5, None)
    assert [t for t, _ in asked] == [4, 3, 2, 1, 0]
    assert not torch.allclose(others[0], end[0], atol=1e-3)
    assert not torch.allclose(others[0], others[1], atol=1e-3)


# ## Numbers of a run
def features_of(compute):
    return Features('some', 2, compute, 'about', [])


def test_features_of_parts_are_those_of_the_whole(monkeypatch):
    """Each part of the samples is another part of the set, not its beginning again."""
    d = DenoiseDiffusion(lambda xt, t: 0.1 * xt, 20, beta=cosine(20))
    sampler = Sampler(d, 1, 4, steps=2)
    features = features_of(lambda x: (x.flatten(1).double().numpy(), None))
    whole, _ = metrics.sample_features(sampler, features, 10, seed=3)
    monkeypatch.setattr(metrics, 'CHUNK', 4)
    parts, _ = metrics.sample_features(sampler, features, 10, seed=3)
    assert parts.shape == whole.shape
    assert np.abs(parts - whole).max() <= 1  # of 255
    assert len(np.unique(parts, axis=0)) == 10


def test_each_number_is_of_what_it_says():
    """Precision is of the samples, the score of the samples' probabilities, k is 3."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)) * 0.3, rng.normal(size=(80, 2))
    p = rng.dirichlet(np.ones(4), size=60)
    found = metrics.measure(x, p, y)
    assert found['precision'] > 0.9
    assert found['recall'] < 0.6
    exact = precision_recall.precision_recall(x, y[:60], 3)  # as many of each
    assert (found['precision'], found['recall']) == exact
    assert exact != precision_recall.precision_recall(x, y[:60], 5)
    assert exact != precision_recall.precision_recall(x, y, 3)
    assert found['inception_score'] == inception_score(p, 10)[0]
    assert (metrics.K, metrics.SPLITS) == (3, 10)


@pytest.mark.parametrize('spacing', ['trailing', 'quadratic'])
def test_samplers_on_the_cosine_schedule(spacing):
    """First order without noise is DDIM there, too."""
    d = DenoiseDiffusion(lambda xt, t: 0.9 * xt, 1000, beta=cosine(1000))
    options = dict(spacing=spacing, clip_x0=True)
    torch.testing.assert_close(
        DPMSolver(d, 15, order=1, **options).sample((3, 4)),
        DDIM(d, 15, **options).sample((3, 4)), rtol=0, atol=1e-4,
    )  # fmt: skip
