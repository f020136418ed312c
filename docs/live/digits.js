// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/unet.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @later digits.weights.js
//
// Eight digits out of noise, drawn by the model that `make train` makes.
(() => {
  'use strict';
  const { ddpm } = globalThis;

  globalThis.pylit.figures.digits = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    await host.load?.('digits.weights.js');
    host.root.append(ddpm.make('p', {}, ddpm.make('strong', {},
      say('How many calls of a network does it take to turn noise into a digit?'))));
    await ddpm.drawing(host, ddpm.packed);
    host.root.append(ddpm.make('p', {}, say('Try 2 steps, then 5, then 20: from the same seed, more steps sharpen what was there. Then another sampler: most digits stay what they were, as the noise decides what is drawn. The command makes these pictures from a run of "make train", whose weights are rounded to 8 bits here.')));
  };
})();
