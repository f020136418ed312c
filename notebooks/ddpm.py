# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Denoising diffusion: train, sample, interpolate
#
# From noise to pictures, with the annotated DDPM. Run the cells from top to bottom: on
# handwritten digits all of it takes a few minutes on two CPU cores. No account is
# needed, and nothing is downloaded but the package itself.
#
# Run it again, and it goes on where it was: the training is kept in the folder `RUN`.

# %%
# What to train. 'cifar10' is the paper's run: 800,000 steps, for a GPU
PRESET = 'digits'
# Where the run is kept. On Colab: mount your drive, and write '/content/drive/MyDrive/ddpm'
RUN = f'runs/notebook_{PRESET}'
# The training steps, and how many of the last ones cool down; None for those of the preset
STEPS, COOLDOWN = (900, 400) if PRESET == 'digits' else (None, None)

# %% [markdown]
# ## Install
#
# The package, and nothing that is there already. The versions of torch and torchvision are pinned:
# replacing them is slow and often breaks GPU support.

# %%
import contextlib
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

SOURCE = 'labml-nn>=1.0.0.dev0'


def held(*names):
    """Constraints that hold these packages at the versions that are installed."""
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield f'{name}=={importlib.metadata.version(name)}\n'


if importlib.util.find_spec('labml_nn') is None:
    Path('constraints.txt').write_text(''.join(held('torch', 'torchvision', 'numpy')))
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '-c', 'constraints.txt', SOURCE]
    subprocess.run(pip, check=True)

# %%
import time

import torch
from IPython.display import Image, Markdown, display
from PIL import Image as Pillow

from labml_nn.data.datasets import load_dataset
from labml_nn.data.pictures import grid, to_pil
from labml_nn.diffusion.ddpm import DenoiseDiffusion
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.experiment import PRESETS, main, make_configs
from labml_nn.runs.checkpoint import FILE_NAME


def show(images, n_columns=None, scale=2):
    """Images in [-1, 1], `[n, channels, height, width]`, side by side."""
    picture = to_pil(grid(images, n_columns))
    size = (picture.width * scale, picture.height * scale)
    display(picture.resize(size, Pillow.Resampling.NEAREST))


# %% [markdown]
# ## The forward process
#
# Noise is added in a thousand small steps. All of them at once are one Gaussian,
#
# $$q(x_t|x_0) = \mathcal N\big(x_t;\ \sqrt{\bar\alpha_t}\,x_0,\ (1-\bar\alpha_t)\mathbf I\big)$$
#
# so any $x_t$ is one line. A row is one image, at $t$ = 1, 50, 100, 200, 300, 500, 750 and 1000.
# Where can you no longer tell what it was? That is where the network will have to decide what it
# becomes.

# %%
c = make_configs(PRESETS[PRESET])
dataset = load_dataset(c.dataset, c.data_root, c.image_size, c.image_channels)
diffusion = DenoiseDiffusion(lambda xt, t: torch.zeros_like(xt), c.n_steps)

torch.manual_seed(0)
times = torch.tensor([1, 50, 100, 200, 300, 500, 750, 1000]) - 1
rows = [diffusion.q_sample(dataset[i][0].expand(len(times), -1, -1, -1), times) for i in range(4)]
show(torch.cat(rows), n_columns=len(times))

# %% [markdown]
# ## Train
#
# Algorithm 1: take an image, a step and noise; let the network say which noise is in $x_t$;
# compare.
#
# The loss begins at 1, which is what a guess of zero has, falls fast and then hardly moves, while
# the pictures still get better: most of what is left is noise that nobody could predict. Judge by
# the pictures. To stop, interrupt the cell: the run is saved, and running the cell again goes on.

# %%
options = ['--preset', PRESET, '--out', RUN]
if STEPS is not None:
    options += ['--steps', str(STEPS), '--cooldown', str(COOLDOWN)]
if Path(RUN, FILE_NAME).exists():
    options += ['--resume']
status = main(options)
if status:
    raise SystemExit(f'the run ended with status {status}: see above')

# %% [markdown]
# The loss, and samples from the same noise as training went on:

# %%
display(Image(filename=str(Path(RUN, 'loss.png')), width=560))
for path in sorted(Path(RUN, 'samples').glob('step_*.png')):
    display(Markdown(f'step {int(path.stem.removeprefix("step_")):,}'), Image(filename=str(path)))

# %% [markdown]
# ## Sample
#
# From the averaged weights, which are better than those of the last step. Image 3 is the same
# whatever the number of images: it depends on the seed and its place in the set, and on nothing
# else.

# %%
sampler = Sampler.from_run(RUN)
show(sampler.sample(64, seed=0))

# %% [markdown]
# ### What the network aims at, along the chain
#
# A row is an image; from left to right the guess $\hat x_0$ at ten moments. First a blur, which
# is the mean of all that the noise may become; then a shape; detail last.

# %%
frames = Sampler.from_run(RUN, sampler='ddpm', steps=100).sample_animation(10, n_samples=4)
show(torch.stack(frames, dim=1).flatten(0, 1), n_columns=len(frames))

# %% [markdown]
# ## Interpolate
#
# Noise two images for $t$ steps, mix them, undo the $t$ steps. The noise is the same for both and
# for every mixture, so nothing but the mixture changes along a row. With few steps (the upper
# rows) the mix of the pixels shows through; with many the images in between are new ones.

# %%
x1, x2 = dataset[0][0], dataset[1][0]
mixtures = torch.linspace(0, 1, 9).tolist()
rows = []
for steps in (60, 120, 250, 500):
    between = sampler.interpolate(x1, x2, mixtures, steps).cpu()
    rows += [x1[None], between, x2[None]]
show(torch.cat(rows), n_columns=len(mixtures) + 2)

# %% [markdown]
# ## Fast samplers, side by side
#
# One training, many ways back: the samplers know nothing but $\epsilon_\theta$. The same noise,
# so the deterministic ones draw the same pictures, the more alike the more steps they take.

# %%
for name, steps in (
    ('ddpm', 250),
    ('ddim', 10),
    ('ddim', 50),
    ('pndm', 20),
    ('dpm', 10),
    ('dpm', 20),
):
    fast = Sampler.from_run(RUN, sampler=name, steps=steps)
    began = time.monotonic()
    images = fast.sample(12, seed=0)
    seconds = time.monotonic() - began
    display(Markdown(f'`{name}`, {steps} steps, {seconds:.1f} s'))
    show(images, n_columns=12, scale=1)

# %% [markdown]
# ## Digits that one asks for
#
# A model that is told the class of each image while it learns can be asked for it. One image in ten
# comes without its label, so the same network also knows digits in general. Guidance goes by the
# difference of its two guesses, the more so the larger $w$:
#
# $$\tilde\epsilon = (1+w)\,\epsilon_\theta(x_t, t, c) - w\,\epsilon_\theta(x_t, t)$$
#
# This is a training of its own, on the digits whatever `PRESET` is.

# %%
CLASSES = f'{RUN}_classes'
options = ['--preset', 'digits_conditional', '--out', CLASSES, '--n_previews', '0']
options += ['--steps', '600', '--cooldown', '300']
if Path(CLASSES, FILE_NAME).exists():
    options += ['--resume']
status = main(options)
if status:
    raise SystemExit(f'the run ended with status {status}: see above')

# %% [markdown]
# A column is a class, 0 to 9, from the same noise in all pictures. First with no class at all, then
# with more and more guidance: digits that nobody could mistake, and less and less of a difference
# between two of a kind.

# %%
for name, guidance in (('no class', -1), ('w = 0', 0), ('w = 1', 1), ('w = 4', 4)):
    asked = Sampler.from_run(CLASSES, label=range(10), guidance=guidance)
    display(Markdown(name))
    show(asked.sample(30, seed=0), n_columns=10)

# %% [markdown]
# ## What next
#
# * `PRESET = 'cifar10'` in the first cell is the paper's run, on a GPU. Interrupt it when you like.
# * `PRESET = 'fashion'` is garments of 28 × 28 pixels, in twenty minutes of one core. Each row has
#   the same noise, sampled at one moment of that training:
#
# ![Eight noises, sampled at six moments of a training: noise, then pale shapes, then
# garments](../docs/images/garments_training.png)
#
# * Pictures of your own: `--preset folder16 --data_root FOLDER` among the options. Below, 3,786
#   emoji, and fifteen minutes of two cores:
#
# ![Eight noises, sampled at six moments of a training: coloured noise, then blots, then faces and
# figures](../docs/images/emoji.png)
#
# * The second notebook, `pretrained.ipynb`, samples from published weights.
