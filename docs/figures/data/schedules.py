"""The linear and the cosine schedule: the signal that is left, and the signal-to-noise ratio.

python -m docs.figures.data.schedules
"""

from typing import Any

from docs.figures.data.store import keep, rounded
from labml_nn.diffusion.schedules import cosine, linear, log_snr

T = 1000


def schedules() -> dict[str, Any]:
    """Both for T = 1000, and the linear one as it is printed, of as large steps but fewer."""
    ways = {'linear': linear(T), 'cosine': cosine(T), 'short': linear(100)}
    return {
        name: {'alpha_bar': rounded((1 - beta).cumprod(0)), 'log_snr': rounded(log_snr(beta))}
        for name, beta in ways.items()
    }


if __name__ == '__main__':
    keep('schedules', {'schedules': schedules()})
