"""The weights of the living figure of the home page, and the picture that stands for it.

python docs/live/digits.py runs/digits
"""

import sys
from pathlib import Path

from labml_nn.data.pictures import grid, save_png
from labml_nn.diffusion.ddpm import web
from labml_nn.diffusion.ddpm.configs import make_configs
from labml_nn.diffusion.ddpm.sampler import FAST, Sampler
from labml_nn.runs import checkpoint

HERE = Path(__file__).parent


def main(run: str) -> None:
    """Write both from a run of `make train`."""
    sampler = Sampler.from_run(run, device='cpu')
    weights = sampler.diffusion.eps_model.state_dict()
    c = make_configs(checkpoint.load(run)['config'])
    # As the reader's own run is called
    model = web.packed(weights, c, name='runs/digits')
    how = {
        'weights': 'ema', 'sampler': FAST, 'steps': sampler.reverse.n_steps, 'seed': 0,
        'options': {}, 'labels': None, 'guidance': 0,
    }  # fmt: skip
    web.write(HERE / 'digits.weights.js', web.script(model, how=how))
    large = sampler.sample(8).repeat_interleave(10, 2).repeat_interleave(10, 3)
    save_png(HERE / 'digits.png', grid(large, 8))


if __name__ == '__main__':
    main(*sys.argv[1:])
