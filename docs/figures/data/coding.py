"""Rate and distortion of a trained digits model, and the pictures of figures 6 and 7.

    python -m docs.figures.data.coding runs/digits

Prints the table that the page has.
"""

import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

from docs.figures.data.store import cut, keep
from labml_nn.diffusion.ddpm.evaluate import main as evaluate


def curve(path: Path) -> dict[str, list[float]]:
    """A row for each step: what all that was sent cost, and how far the guess is off."""
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in ('rate', 'rmse_levels')}


def main(run: str) -> int:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for name in ('likelihood', 'progressive', 'shared'):
            if status := evaluate([name, run, '--out', str(out / f'{name}.png')]):
                return status
        found['curve'] = curve(out / 'likelihood.csv')
        found['progressive'] = cut(out / 'progressive.png')
        found['shared'] = cut(out / 'shared.png')
    keep('coding', found)
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
