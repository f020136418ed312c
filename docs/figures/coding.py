"""Rate and distortion of a trained digits model, and the pictures of figures 6 and 7.

    python docs/figures/coding.py runs/digits

Prints the table that the page has.
"""

import sys
from pathlib import Path

from labml_nn.diffusion.ddpm.evaluate import main as evaluate

HERE = Path(__file__).parent


def main(run: str) -> int:
    commands = {
        'likelihood': ['--out', HERE / 'rate_distortion.png'],
        'progressive': ['--out', HERE / 'progressive.png'],
        'shared': ['--out', HERE / 'shared.png'],
    }
    return max(evaluate([name, run, *map(str, more)]) for name, more in commands.items())


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
