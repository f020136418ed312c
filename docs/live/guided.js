// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/unet.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs svg.js
// @later guided.weights.js
//
// The ten digits by their class, without guidance and with it, from the same noise; drawn by the
// model that `make train-classes` makes.
(() => {
  'use strict';
  const { ddpm } = globalThis;
  const { signed } = ddpm.svg;

  globalThis.pylit.figures.guided = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    await host.load?.('guided.weights.js');
    const packed = ddpm.packed, { config, how } = packed;
    const size = config.image_size, numbers = size * size;
    const network = await ddpm.run(ddpm.networkOf(packed));
    const beta = ddpm.betas[config.schedule](config.n_steps);
    const digits = Array.from({ length: config.n_classes }, (_, i) => i);
    let seed = 0, stop = new AbortController();
    /** @type {Float32Array[] | null} what the noise of this seed becomes without guidance */
    let plain = null;

    const again = () => { draw().catch(host.failed); };
    const push = ddpm.slider(say('Guidance'), { min: -1, max: 8, step: 0.5, value: 2 }, again,
      (/** @type {number} */ w) => `w = ${signed(w)}`);
    const fresh = ddpm.button(say('New noise'), () => {
      seed += 1;
      plain = null;
      again();
    });
    /** @param {number} i @param {number} w */
    const named = (i, w) => ddpm.filled(say('A {i}, with w = {w}'), { i, w: signed(w) });
    const rows = [0, push.get()].map((w) => digits.map((i) => ddpm.canvasOf(named(i, w), size)));
    const names = rows.map(() => ddpm.make('p', { className: 'named' }));
    const state = ddpm.make('p', { className: 'state' }), command = ddpm.commandOf(host);
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('What becomes of a digit that is pushed towards its class?'))),
      ddpm.make('div', { className: 'controls' }, push.element, fresh),
      ...rows.flatMap((row, i) => [names[i], ddpm.make('div', { className: 'pictures ten' }, ...row)]),
      state, command.element,
      ddpm.make('p', {}, say('The lower row begins with the noise of the upper one. Find a doubtful digit above, and move w to 1: as a rule it becomes a clear one. Move w to 8: strokes break and have spots, as no hand would draw them. Take new noise several times, with w = 0 and with w = 4: guided digits vary less. At w = −1 the model is not told the class, and draws any digit.')),
    );

    /** @param {HTMLCanvasElement} canvas @param {boolean} is drawn with the `w` that is named */
    const made = (canvas, is) => {
      canvas.classList.toggle('unmade', !is);
      canvas.setAttribute('aria-hidden', String(!is));
    };
    /** @param {number} row @param {number} w what of it is not drawn yet */
    const begun = (row, w) => {
      names[row].textContent = `w = ${signed(w)}`;
      rows[row].forEach((canvas) => made(canvas, false));
    };

    /**
     * @param {number} row @param {number} w @param {number} before pictures of the row before
     * @param {number} n pictures in all @param {AbortSignal} signal
     * @returns {Promise<Float32Array[]>}
     */
    const drawn = async (row, w, before, n, signal) => {
      const ends = [];
      for (const i of digits) {
        state.textContent = ddpm.filled(say('Drawing picture {i} of {n} …'), { i: before + i + 1, n });
        const noise = ddpm.seededNoise(seed, i), canvas = rows[row][i];
        const walk = ddpm.SAMPLERS[how.sampler](
          { beta, model: ddpm.guided(network, i, w, numbers) }, noise(numbers), noise, { steps: how.steps });
        const last = await ddpm.run(walk, (/** @type {DDPM.Step} */ step) => {
          if (ddpm.calm()) return;
          ddpm.paint(canvas, step.x, 1, size);
          canvas.classList.remove('unmade');
        }, signal);
        if (signal.aborted) break;
        ddpm.paint(canvas, last.x, 1, size);
        made(canvas, true);
        canvas.setAttribute('aria-label', named(i, w));
        ends.push(last.x);
      }
      return ends;
    };

    const draw = async () => {
      stop.abort();
      const { signal } = stop = new AbortController(), w = push.get();
      command.show(`python -m labml_nn.diffusion.ddpm.evaluate sample ${packed.name} --n ${digits.length} --seed ${seed}`
        + (w ? ` --guidance ${w}` : ''));
      const before = plain ? 0 : digits.length, n = before + digits.length;
      if (!plain) begun(0, 0);
      begun(1, w);
      const first = plain ?? await drawn(0, 0, 0, n, signal);
      if (signal.aborted) return;
      plain = first;
      const pushed = await drawn(1, w, before, n, signal);
      if (signal.aborted) return;
      const moved = digits.map((i) => ddpm.rms(first[i], pushed[i]));
      state.textContent = ddpm.filled(
        say('With w = {w} the pixels are {rms} away from what they are without guidance (root mean square; white − black = 2).'),
        { w: signed(w), rms: Math.hypot(...moved.map((d) => d / Math.sqrt(moved.length))).toFixed(2) });
      host.announce(state.textContent);
    };
    again();
  };
})();
