"""How long 64 digits take: the default of the samplers against all 1000 ancestral steps.

    python docs/bench/sampling.py [--repeats 3]

The weights are random, as the time does not depend on them. Prints medians; the two take turns.
Exit status 1 if the default takes more than a twentieth.
"""

import argparse
import statistics
import sys
import time

from labml_nn.compute.device import describe, pick_device
from labml_nn.diffusion.ddpm.experiment import PRESETS, build, make_configs
from labml_nn.diffusion.ddpm.sampler import FAST, Sampler

N = 64


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--repeats', type=int, default=3)
    repeats = p.parse_args().repeats
    c, device = make_configs(PRESETS['digits']), pick_device('auto')
    diffusion = build(c, device)
    samplers = {
        name: Sampler(diffusion, c.image_channels, c.image_size, sampler=name)
        for name in ('ddpm', FAST)
    }
    seconds: dict[str, list[float]] = {name: [] for name in samplers}
    samplers[FAST].sample(N)  # the first call does not count
    for _ in range(repeats):
        for name, sampler in samplers.items():
            began = time.perf_counter()
            sampler.sample(N).cpu()
            seconds[name].append(time.perf_counter() - began)
    print(f'{N} digits on {describe(device)}')
    for name, found in seconds.items():
        steps = samplers[name].reverse.n_steps
        print(f'  {name:<5} {steps:>4} steps  {statistics.median(found):7.2f} s')
    ratio = statistics.median(seconds['ddpm']) / statistics.median(seconds[FAST])
    print(f'  the default is {ratio:.0f} times as fast (at least 20 are wanted)')
    return 0 if ratio >= 20 else 1


if __name__ == '__main__':
    sys.exit(main())
