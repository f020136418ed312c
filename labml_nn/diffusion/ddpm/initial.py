r"""
---
title: Weights of an earlier run
summary: Begin a run with the weights of another, and what may differ then; what a checkpoint says.
---

# Weights of an earlier run

    python -m labml_nn.diffusion.ddpm.experiment --init runs/mine --learning_rate 2e-4 \
        --out runs/mine2
    python -m labml_nn.diffusion.ddpm.experiment --init runs/faces --data_root other_faces \
        --steps 2000 --out runs/other_faces

begins a new run, at step 0, with the weights of one that is there. Its options are those of that
run, except those that are given: other pictures, another rate, another cool-down, another number of
steps. `--resume` continues a run as it is: of these it can change the number of steps alone.

* **The averaged weights** are taken, those used for sampling; `--init_weights raw` takes the
  ones that were trained last. The new run's average begins with them
  [tested](test:diffusion/ddpm/test_initial.py::test_a_run_begins_with_the_averaged_weights_of_another).
* **The optimizer begins anew**, and so do the warm-up and the log.
* **What gives the weights their shapes cannot change**: the channels and blocks of the network, and
  colour. The size of the images can, where it can be halved as often, as a convolution does not ask
  for it.
* **Other classes**: where their number differs, their vectors begin anew; if it is the same, class
  $i$ begins with the vector of the old class $i$.

To go back to an earlier checkpoint, name its file: `--init runs/mine/checkpoint.1.pt`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from labml_nn.cli.messages import shown, wanted
from labml_nn.cli.options import option_values
from labml_nn.diffusion.ddpm.configs import Configs, make_configs, network_of
from labml_nn.diffusion.ddpm.train import Training
from labml_nn.diffusion.distillation import METHODS
from labml_nn.runs import checkpoint
from labml_nn.runs.run import check_numbers

# What gives the weights their shapes, or, as the groups do, their meaning
OF_NETWORK = (
    'network', 'image_channels', 'n_channels', 'ch_mults', 'is_attn', 'n_blocks', 'n_groups',
    'patch_size', 'depth', 'n_heads',
)  # fmt: skip
# What a distilled run does not hand on
OF_LESSON = ('distill', 'calls', 'teacher')
# What is said of them on the command line, and what they are called in a checkpoint
KINDS = {'ema': 'averaged', 'raw': 'raw'}
NAMES = {'ema': 'ema', 'raw': 'model'}
# What cannot be said together with these weights, and why
WRONG = {
    'resume': 'goes on with a run as it is',
    'preset': 'brings options, and those are of the run here',
}


# ## What a checkpoint says of its run
def kept_options(state: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    r"""
    The options of the run that a checkpoint is of; `defaults` for those that its version of the
    package did not have.

    Raises `ValueError` for options that this version does not have.
    """
    config = wanted(state, 'config', Mapping, 'the checkpoint')
    unknown = [f'{k}={shown(v)}' for k, v in config.items() if k not in defaults]
    if unknown:
        raise ValueError(
            f'the run has options that this version does not know: {", ".join(unknown)}. Go on '
            f'with the version that began it, or update: pip install -U labml-nn'
        )
    return {**defaults, **config}


def check_shapes(c: Configs, state: Mapping[str, Any], source: Path) -> None:
    r"""
    A `ValueError` unless the weights of a checkpoint are those of its configuration; of shapes
    alone, so that no configuration gets more memory than its weights have.
    """
    for name in ('model', 'ema'):
        with torch.device('meta'):
            model = network_of(c)
        checkpoint.fitting_weights(model, wanted(state, name, Mapping, source), source)


class Initial(NamedTuple):
    r"""
    ## What a new run begins with

    * `source` the checkpoint, and `state` what is in it
    * `kind` `ema` or `raw`
    """

    source: Path
    state: Mapping[str, Any]
    kind: str

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> 'Initial':
        r"""
        The weights that the command line names. Raises `ValueError` where there are none, and for
        what cannot be said together with them.
        """
        kind = arguments['init_weights'] or 'ema'
        if kind not in KINDS:
            raise ValueError(f'init_weights={kind!r} is not known: use ema or raw')
        for other in WRONG:
            if arguments[other]:
                raise ValueError(
                    f'--init begins a new run, and --{other} {WRONG[other]}: leave one out'
                )
        if not arguments['out']:
            raise ValueError('--init begins a new run: name its folder with --out')
        source = checkpoint.find(arguments['init'])
        state = checkpoint.load(source)
        check_numbers(state, source)
        return cls(source, state, kind)

    def old(self) -> Configs:
        r"""
        The options of the run that the weights are from.
        """
        c = make_configs(kept_options(self.state, option_values(Configs())))
        check_shapes(c, self.state, self.source)
        return c

    def options(self, given: Mapping[str, Any]) -> Configs:
        r"""
        Those, with what is `given` in their place.

        Raises `ValueError` for what the weights do not fit.
        """
        old = self.old()
        changed = [k for k in OF_NETWORK if given.get(k, getattr(old, k)) != getattr(old, k)]
        variance = given.get('variance', old.variance)
        if 'learned' in (variance, old.variance) and variance != old.variance:
            changed.append('variance')
        if changed:
            listed = ', '.join(f'{k}={given[k]} (they have {getattr(old, k)})' for k in changed)
            raise ValueError(
                f'the weights of {self.source} do not fit {listed}: leave that out, or begin '
                f'without --init'
            )
        return make_configs({**option_values(old), **self.lesson(given), **given})

    def lesson(self, given: Mapping[str, Any]) -> dict[str, Any]:
        r"""
        The options of [distillation](../distillation.html): the run here is the teacher, if there
        is to be one; else the new run has none, whatever the old one learned from.
        """
        usual, method = option_values(Configs()), given.get('distill')
        found = {name: usual[name] for name in OF_LESSON}
        if self.old().distill != 'none':
            found |= {name: usual[name] for name in ('preview_sampler', 'preview_steps')}
        if method in METHODS:
            found |= {
                'teacher': str(self.source.absolute()),
                'preview_sampler': METHODS[method].sampler,
                'preview_steps': max(given.get('calls', 1), 1),
            }
        return found

    def put_into(self, training: Training) -> None:
        r"""
        The weights into the model and its average; vectors of classes only where there are as many.
        """
        weights = {**wanted(self.state, NAMES[self.kind], Mapping, self.source)}
        own = training.model.state_dict()
        if training.c.n_classes != self.old().n_classes:
            weights = {k: v for k, v in weights.items() if not k.endswith('label.weight')}
            weights |= {k: v for k, v in own.items() if k.endswith('label.weight')}
        checkpoint.load_weights(training.model, weights, self.source)
        checkpoint.load_weights(training.ema.module, training.model.state_dict(), self.source)

    def line(self) -> str:
        r"""
        What the weights are, in a few words.
        """
        return f'{KINDS[self.kind]} weights of {self.source}, step {self.state["step"]:,}'

    def notes(self, c: Configs) -> list[str]:
        r"""
        What the weights have to learn anew in a run of these options.
        """
        old, found = self.old(), []
        if (c.n_steps, c.schedule) != (old.n_steps, old.schedule):
            found.append(
                f't meant another noise to these weights (T = {old.n_steps:,}, {old.schedule}), '
                f'which they have to learn anew'
            )
        if c.image_size != old.image_size:
            found.append(
                f'these weights come from images of {old.image_size} pixels a side: edges they '
                f'know, how a whole image is laid out they have to learn anew'
            )
        if c.n_classes != old.n_classes:
            found.append(
                f'n_classes={c.n_classes}, and these weights know {old.n_classes}: what they know '
                f'of classes is left out'
            )
        elif c.n_classes and (c.dataset, c.data_root) != (old.dataset, old.data_root):
            found.append('each class begins as the old one of the same number')
        return found
