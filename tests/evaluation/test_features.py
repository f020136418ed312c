"""Features: pixels, a classifier trained on the spot, and Inception with weights of ones own."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from labml_nn.data.datasets import load_dataset
from labml_nn.evaluation import features as page
from labml_nn.evaluation.features import INCEPTION_FILE, load_features, sha256
from tests.kit.peers import fidelity


@pytest.fixture(scope='module')
def digits():
    """The digits as bytes, and their labels."""
    data = load_dataset('digits', image_size=8, image_channels=1)
    return (data.images.double() * 255 / 16).round().to(torch.uint8), data.labels


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder for torch's files, and no network."""

    def no_network(*_, **__):
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    return tmp_path / 'checkpoints'


def test_pixels_are_the_pixels():
    images = torch.randint(0, 256, (5, 3, 4, 4)).to(torch.uint8)
    features = load_features('pixels', (3, 4, 4))
    x, p = features.compute(images)
    assert (features.dimension, p) == (48, None)
    np.testing.assert_allclose(x, images.reshape(5, 48).numpy() / 127.5 - 1)


def test_the_classifier_of_digits_knows_them_and_is_the_same_each_time(digits):
    images, labels = digits
    first, second = (load_features('digits', (1, 8, 8)) for _ in range(2))
    (x, p), (y, q) = first.compute(images), second.compute(images)
    assert x.shape == (len(images), first.dimension)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(p, q)
    assert (p.argmax(axis=1) == labels.numpy()).mean() > 0.99
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert 'trained on the 1,797 real digits' in first.about
    unseen = float(first.about.split('right about ')[1].split('%')[0])
    assert 90 < unseen < 100


def test_the_features_are_what_the_classifier_decides_by(digits):
    """Its last layer, on top of them, gives its probabilities."""
    data = load_digits()
    net = page.perceptron(data.data / 16, data.target)
    x, p = load_features('digits', (1, 8, 8)).compute(digits[0][:100])
    logits = torch.from_numpy(x @ net.coefs_[-1] + net.intercepts_[-1])
    np.testing.assert_allclose(logits.softmax(dim=1).numpy(), p, atol=1e-12)
    # Hidden units that are at work, and not all at zero
    assert ((x > 0).mean(axis=0) > 0).sum() > 16


def test_making_them_draws_no_random_numbers():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    load_features('digits', (1, 8, 8))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize(
    ('name', 'shape', 'message'),
    [
        ('vgg', (1, 8, 8), "features='vgg' is not known: use one of pixels, digits, inception"),
        ('digits', (3, 32, 32), r'grey images of 8 × 8, these are \[3, 32, 32\]: use pixels or'),
    ],
)
def test_what_does_not_fit_is_refused(name, shape, message):
    with pytest.raises(ValueError, match=message):
        load_features(name, shape)


# ## Inception


def test_without_a_network_the_error_says_which_file_and_where(hub):
    fidelity('version')
    with pytest.raises(FileNotFoundError) as error:
        load_features('inception', (3, 32, 32))
    text = str(error.value)
    assert str(hub) in text
    assert 'no network' in text
    assert 'weights-inception-2015-12-05-6726825d.pth' in text
    assert 'github.com/toshas/torch-fidelity/releases/download/v0.2.0/' in text
    assert 'sha256 6726825d' in text


def test_file_and_address_are_those_of_torch_fidelity():
    inception = fidelity('feature_extractor_inceptionv3')
    assert page.INCEPTION_URL == inception.URL_INCEPTION_V3
    assert page.INCEPTION_URL.endswith(f'{page.INCEPTION_SHA256}.pth')


def test_another_file_of_that_name_is_refused_unopened(hub):
    """A pickle could run code, and torch-fidelity would let it."""
    fidelity('version')
    hub.mkdir()
    (hub / INCEPTION_FILE).write_bytes(b'not these')
    with pytest.raises(ValueError, match='is damaged or not complete: sha256 .* need 6726825d'):
        load_features('inception', (3, 32, 32))
    assert (hub / INCEPTION_FILE).read_bytes() == b'not these'


def test_without_torch_fidelity_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch_fidelity', None)
    with pytest.raises(ImportError, match=r"pip install 'labml-nn\[metrics\]'"):
        load_features('inception', (3, 32, 32))


@pytest.fixture
def random_weights(hub, monkeypatch):
    """A file like the real one, with the weights of a network that has learned nothing."""
    inception = fidelity('feature_extractor_inceptionv3')
    monkeypatch.setattr(inception, 'load_state_dict_from_url', lambda *_, **__: None)
    kind = inception.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(kind, 'load_state_dict', lambda self, state: None)
        net = kind('any', ['2048'])
    hub.mkdir()
    torch.save(net.state_dict(), hub / INCEPTION_FILE)
    monkeypatch.setattr(page, 'INCEPTION_SHA256', sha256(hub / INCEPTION_FILE)[:8])
    return net


@pytest.mark.parametrize('channels', [1, 3])
def test_inception_from_a_file(random_weights, channels):
    images = torch.randint(0, 256, (2, channels, 16, 16)).to(torch.uint8)
    features = load_features('inception', (channels, 16, 16))
    x, p = features.compute(images)
    assert (features.dimension, x.shape, p.shape) == (2048, (2, 2048), (2, 1008))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    with torch.no_grad():
        (expected,) = random_weights(images.expand(-1, 3, -1, -1))
    np.testing.assert_allclose(x, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert 'Inception v3, layer 2048, of weights-inception' in features.about
    assert 'torch_fidelity' in features.versions()
