r"""
---
title: Helpers, as they were called
summary: Where the modules of this folder are now; their old names still work.
---

# Helpers, as they were called

This folder is now four: [the command line](../cli/index.html), [data](../data/index.html),
[compute](../compute/index.html) and [runs](../runs/index.html). Programs that name its modules find
them as before [tested](test:test_small.py::test_the_old_names_of_modules_are_the_modules).
"""

import sys
from importlib import import_module

MOVED = {
    'cli': ('options', 'output', 'progress'),
    'compute': ('descent', 'device', 'distributed', 'precision'),
    'data': ('datasets', 'decode', 'pictures', 'vision'),
    'evaluation': ('features',),
    'runs': (
        'checkpoint', 'labml_run', 'lock', 'log', 'plain', 'safetensors', 'signals', 'trackers',
    ),
}  # fmt: skip
for room, names in MOVED.items():
    for name in names:
        module = import_module(f'labml_nn.{room}.{name}')
        # The same module, not a second one: what is set in one is set in the other
        sys.modules[f'{__name__}.{name}'] = globals()[name] = module
