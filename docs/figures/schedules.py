"""The linear and the cosine schedule: the signal that is left, and the signal-to-noise ratio.

python docs/figures/schedules.py
"""

from pathlib import Path

from matplotlib.figure import Figure

from labml_nn.diffusion.schedules import cosine, linear, log_snr

T = 1000


def main() -> None:
    figure = Figure(figsize=(9, 3.4), layout='constrained')
    left, right = figure.subplots(1, 2)
    share = [t / T for t in range(1, T + 1)]
    for name, beta in (('linear', linear(T)), ('cosine', cosine(T))):
        left.plot(share, (1 - beta).cumprod(0), label=name)
        right.plot(share, log_snr(beta), label=name)
    # As many percent of far fewer steps of the same size
    short = linear(100)
    left.plot(
        share[9::10], (1 - short).cumprod(0), 'k:', linewidth=1,
        label='linear, as printed, T = 100',
    )  # fmt: skip
    right.plot(share[9::10], log_snr(short), 'k:', linewidth=1)
    left.set(xlabel='t / T', ylabel=r'$\bar\alpha_t$', ylim=(0, 1))
    right.set(xlabel='t / T', ylabel=r'$\log\,\mathrm{SNR}(t)$')
    right.axhline(-6, color='gray', linewidth=0.8, linestyle='--')
    right.annotate('400 times more noise', (0.01, -6), xytext=(0, -11), textcoords='offset points',
                   fontsize=8, color='gray')  # fmt: skip
    left.legend(fontsize=8)
    for axes in (left, right):
        axes.set(xlim=(0, 1))
        axes.grid(alpha=0.3)
    figure.savefig(Path(__file__).with_name('schedules.png'), dpi=110)


if __name__ == '__main__':
    main()
