r"""
---
title: The annotated DDPM
summary: Denoising diffusion in literate PyTorch, where every claim is executed.
---

# The annotated DDPM

Denoising diffusion in PyTorch, from the first equation to pictures. Mathematics and code stand side
by side, and tests compute both sides of the equations.

```sh
make train
```

In a copy of the repository: three minutes on two CPU cores, with real handwritten digits, without a
download.

* [Start reading](diffusion/ddpm/index.html)
* [Notebook](../notebooks/ddpm.ipynb)
* [Colab](colab:../notebooks/ddpm.ipynb)
* [Paper](https://arxiv.org/abs/2006.11239)

<figure>

![Eight handwritten digits that the model of this site drew from noise, 8 × 8 pixels
each](live:digits)

<figcaption>

Drawn by the model that `make train` makes. It is small enough to run in this page.

</figcaption>
</figure>

## A formula and its line

Point at a symbol, here or on any page, and everything that means the same lights up.

$$x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon$$

```python
xt = (alpha_bar ** 0.5 * x0
      + (1 - alpha_bar) ** 0.5 * eps)
```

This is how an image $x_0$ becomes noisy, in one step instead of $t$
[tested](test:diffusion/ddpm/test_forward.py::test_closed_form_is_t_single_steps). A network that
finds $\epsilon$ in $x_t$ is all that is needed to go back, from pure noise to a picture.

## The same code on larger pictures

<figure>

![Eight noises, sampled at six moments of a training: noise, then pale shapes, then
garments](../docs/images/garments_training.png)

<figcaption>

Garments of 28 × 28 pixels, from the same noise as the training goes on. [How this run
went](diffusion/ddpm/experiment.html#a-run-of-garments), in twenty minutes of one core.

</figcaption>
</figure>

For pictures of your own there are [presets](diffusion/ddpm/experiment.html) that suit a laptop, a
small GPU and a large one. On a laptop, [3,786
emoji](diffusion/ddpm/experiment.html#a-run-with-pictures-of-your-own) took fifteen minutes.

## Read in this order

Beside each page stands what you can do after reading it.

### Understand

1. [Denoising diffusion](diffusion/ddpm/index.html): derive the loss from the bound, step by step,
   and say why the network is asked for the noise
2. [The score](diffusion/ddpm/score.html): describe what the network learns in a second way, and say
   what the noise on the way back is for
3. [The U-Net](diffusion/ddpm/unet.html): draw the network, count its 35,746,307 parameters, and say
   what each block is there for
4. [Averaged weights](diffusion/ddpm/ema.html): say why samples are drawn with an average of the
   weights, and not with the weights that were trained last

### Train and sample

5. [Algorithm 1](diffusion/ddpm/train.html): read the training loop aloud, and say what each of its
   lines is for
6. [Training](diffusion/ddpm/experiment.html): train on your own pictures, and tell from a loss
   curve whether it works
7. [Sampling](diffusion/ddpm/evaluate.html): sample, animate the chain, interpolate
8. [Targets and weights](diffusion/targets.html): predict the image or v in place of the noise, and
   say what each step counts then

### Sample in fewer steps

9. [Fast samplers](diffusion/samplers/index.html): take 20 calls of the network instead of 1000, and
   know what that costs
10. [DDIM](diffusion/samplers/ddim.html): sample without new noise, and find the noise of an image
11. [PNDM](diffusion/samplers/pndm.html): take earlier guesses of the noise into account
12. [DPM-Solver++](diffusion/samplers/dpm_solver.html): solve the linear part of the equation
    exactly, and only the rest in steps
13. [UniPC](diffusion/samplers/unipc.html): correct each step with a guess that costs nothing
14. [Heun's method](diffusion/samplers/edm.html): write DDPM in the units of EDM, and space its
    steps by the noise
15. [Steps along straight lines](diffusion/samplers/flow.html): sample any model in the units of
    flow matching

### Say what to draw

16. [Guidance](diffusion/guidance.html): train a model that is told what to draw, push it towards
    that, and know what that costs
17. [Edit pictures](diffusion/editing.html): redraw a rough picture, fill a hole in one, and say
    what is wrong with the simplest way to do it

### Count the bits

18. [The bound in bits](diffusion/ddpm/likelihood.html): say what every step costs in bits, and what
    a fixed variance loses
19. [The bits of a run](diffusion/ddpm/coding.html): draw the rate–distortion curve of your own
    model
20. [In continuous time](diffusion/sde.html): compute the likelihood of an image exactly, and say
    which equation each sampler solves
21. [Schedules](diffusion/schedules.html): choose where the steps are spent
22. [Learned variances](diffusion/learned_variance.html): train a model that compresses better

### What came after

23. [Flow matching](diffusion/flow_matching.html): say what of it is DDPM and what is new, train it
    with the same command, and make its paths straighter
24. [EDM's training](diffusion/preconditioning.html): choose what the network sees and says, and
    which noise levels it is trained with
25. [Fewer steps](diffusion/distillation.html): distill a run for four steps, two or one, and say
    what its teacher has to predict
26. [DiT](diffusion/ddpm/dit.html): put a transformer in the place of the U-Net, say what adaLN-Zero
    sets to zero, and what a convolution knows that attention has to learn
27. [All of them beside each other](diffusion/comparison.html): say what each idea gains on the same
    digits, and what it costs

### Measure

28. [Measuring](diffusion/ddpm/metrics.html): give FID and its like with all that they depend on
29. [Checking](diffusion/ddpm/check.html): find out what is wrong with a run
30. [The report of a run](diffusion/ddpm/report.html): look at a run on one page, and at two beside
    each other

### Take it elsewhere

31. [Published weights](diffusion/ddpm/pretrained.html): load the authors' models, and give yours to
    users of diffusers
32. [Lightning](diffusion/ddpm/lightning.html): train the same model in the stack that you already
    have
33. [Trackers](runs/trackers.html): see your runs where you see your others

## Look up

There are [exercises](diffusion/ddpm/exercises.html) for the main pages, with answers, and a page
for [samples that look wrong](diffusion/ddpm/troubles.html). The page on
[diffusion models](diffusion/index.html) lists the papers, the page of each, and what its tests
prove.

Behind the pages: [runs](runs/index.html), [data](data/index.html), [compute](compute/index.html),
[the command line](cli/index.html), [the doctor](doctor.html), [evaluation](evaluation/index.html),
and [the renderer](pylit/index.html), which takes any annotated Python file. The old names of the
[helpers](helpers/index.html) still work.
"""

# pylit: fold
import sys

## `python -m labml_nn.…` has come as far as its packages, whose imports take a second
if sys.argv[:1] == ['-m'] and any('labml_nn.' in word for word in sys.orig_argv[1:]):
    from labml_nn.cli.output import quiet_at_ctrl_c

    quiet_at_ctrl_c()
# pylit: end
