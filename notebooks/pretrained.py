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
# # Sample from published weights
#
# The authors' own CIFAR-10 model, 35.7 million parameters and 143 MB, trained for 800,000 steps.
# No training, no account; a GPU makes it quick, and two CPU cores do as well.

# %%
# A name on the hub, or a folder in the same format
WEIGHTS = 'google/ddpm-cifar10-32'
# How many images, by how many calls of the network, and how many steps interpolation undoes
N, STEPS, MIXED = 16, 20, 250

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


missing = [
    source
    for module, source in (('labml_nn', SOURCE), ('huggingface_hub', 'huggingface_hub'))
    if importlib.util.find_spec(module) is None
]
if missing:
    Path('constraints.txt').write_text(''.join(held('torch', 'torchvision', 'numpy')))
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '-c', 'constraints.txt', *missing]
    subprocess.run(pip, check=True)

# %%
from IPython.display import display
from PIL import Image as Pillow

from labml_nn.compute.device import pick_device
from labml_nn.data.pictures import grid, to_pil
from labml_nn.diffusion.ddpm.evaluate import Sampler
from labml_nn.diffusion.ddpm.pretrained import from_pretrained


def show(images, n_columns=None, scale=3):
    """Images in [-1, 1], `[n, channels, height, width]`, side by side."""
    picture = to_pil(grid(images, n_columns))
    size = (picture.width * scale, picture.height * scale)
    display(picture.resize(size, Pillow.Resampling.NEAREST))


# %% [markdown]
# ## Load
#
# The settings are compared with what our network is, and anything else is refused by name:
# weights that load into a slightly different network give slightly bad pictures, and no error.

# %%
diffusion, unet, config = from_pretrained(WEIGHTS, device=pick_device('auto'))
print(unet)

# %% [markdown]
# ## Sample
#
# DPM-Solver++ in 20 steps, without noise on the way. `sampler='ddpm'` without `steps` is the
# paper's own way, with all 1000.

# %%
image_shape = config['image_channels'], config['image_size']
sampler = Sampler(diffusion, *image_shape, sampler='dpm', steps=STEPS)
images = sampler.sample(N, seed=0)
show(images)

# %% [markdown]
# ## Between two of them

# %%
row = sampler.interpolate(images[0], images[5], [0, 0.2, 0.4, 0.6, 0.8, 1], t_=MIXED)
show(row.cpu(), n_columns=6)
