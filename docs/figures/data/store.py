"""What the figures show, in files: numbers, and images as two hexadecimal digits a pixel.

Each file here computes what the drawings of the same name need, which then need nothing else.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from labml_nn.data.files import written
from labml_nn.data.pictures import SHOWN_SIDE, to_uint8


def images(x: Tensor) -> list[str]:
    """Grey images in [-1, 1] as hexadecimal digits."""
    return [bytes(pixels.flatten().tolist()).hex() for pixels in to_uint8(x)]


def rows(x: Tensor, n_columns: int) -> list[list[str]]:
    """The same, in rows."""
    flat = images(x)
    return [flat[i : i + n_columns] for i in range(0, len(flat), n_columns)]


def rounded(values: Tensor | Iterable[float], digits: int = 5) -> list[Any]:
    """Numbers with as many digits as a picture or a table can show."""
    numbers = values.double().flatten().tolist() if isinstance(values, Tensor) else values
    return [float(f'{v:.{digits}g}') for v in numbers]


def cut(grid: Path) -> list[list[str]]:
    """The images of 8 × 8 pixels in a grid as the commands write it: enlarged, edges between."""
    with Image.open(grid) as picture:
        pixels = np.asarray(picture.convert('L'))
    height, width = pixels.shape
    side, step = SHOWN_SIDE, SHOWN_SIDE // 8
    return [
        [
            pixels[y : y + side : step, x : x + side : step].tobytes().hex()
            for x in range(2, width - 2, side + 2)
        ]
        for y in range(2, height - 2, side + 2)
    ]


def keep(name: str, parts: dict[str, Any]) -> None:
    """These parts of the file of that name anew, a line each; the others stay."""
    out = Path(__file__).with_name(f'{name}.json')
    found = json.loads(out.read_text(encoding='utf-8')) if out.exists() else {}
    lines = [f'"{k}": {json.dumps(value)}' for k, value in sorted({**found, **parts}.items())]
    text = ',\n'.join(lines)
    with written(out) as part:
        part.write_text(f'{{\n{text}\n}}\n', encoding='utf-8')
    print(out)
