"""What Heun's method and the noise levels of EDM give, on a trained digits model.

    python -m docs.figures.data.edm runs/digits [CACHE]

Fréchet distance in pixel space of 898 samples, as [frontier.py](frontier.py) measures it, at equal
calls of the network. Writes the table of the page (`edm.md`). What the file CACHE holds is not
measured again.
"""

import sys
from pathlib import Path
from typing import Any

from docs.figures.data.frontier import Bench, row
from labml_nn.diffusion.samplers import SAMPLERS

HERE = Path(__file__).parent
CALLS = (9, 19, 39)
WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ('DDIM', 'ddim', {}),
    ('DPM-Solver++ 2M', 'dpm', {}),
    ('Heun', 'heun', {}),
]


def steps_of(name: str, calls: int) -> int:
    return (calls + 1) // 2 if name == 'heun' else calls


def table(bench: Bench) -> str:
    lines = [row('calls of the network', [str(n) for n in CALLS]), '|---' * (len(CALLS) + 1) + '|']
    for label, name, options in WAYS:
        for spacing in ('trailing', 'karras'):
            cells = []
            for calls in CALLS:
                steps = steps_of(name, calls)
                made = SAMPLERS[name](bench.diffusion, steps, spacing=spacing, **options)
                assert made.n_calls == calls
                cells.append(f'{bench(name, steps, spacing=spacing, **options)[0]:.2f}')
            lines.append(row(f'{label}, `{spacing}`', cells))
    return '\n'.join(lines) + '\n'


def main(run: str, cache: str | None = None) -> None:
    bench = Bench(run, Path(cache) if cache else None)
    (HERE / 'edm.md').write_text(table(bench), encoding='utf-8')


if __name__ == '__main__':
    main(*sys.argv[1:])
