// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/unet.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs lines.js
// @later digits.weights.js
//
// One chain of Algorithm 2, line by line: the line that runs is lit in the code of the page, and
// what it has made is shown.
(() => {
  'use strict';
  const { ddpm } = globalThis;
  const { inPage, shownLine } = ddpm.lines;

  // In the order in which they run: the line, and the picture that it makes
  /** @type {[string, string][]} */
  const LINES = [
    ['for i in reversed(range(self.n_steps if n_steps is None else n_steps)):', 'x'],
    ['z = noise(xt.shape, xt.device)', 'z'],
    ['output = self.eps_model(xt, t, *condition)', 'eps'],
    ['x0_hat = self.predict_x0(xt, t, eps)', 'x0'],
    ['x0_hat = x0_hat.clamp(-1, 1)', 'x0'],
    ['mean, _ = self.q_posterior(x0_hat, xt, t)', 'mean'],
    ['return mean + torch.where(last, 0.0, var**0.5) * z, x0_hat', 'next'],
  ];
  const LAST = LINES.length - 1;
  // A pixel that has moved by more has another grey, for the eye
  const SEEN = 0.2;

  /**
   * What a chain has made, and how it goes on: step `k` of it, from the noisy end, is index
   * `T - 1 - k`. Noise is drawn in the order of the command line, and kept: a step that is taken
   * again has the same, unless another was asked for.
   * @param {DDPM.Process & {variance: string}} process @param {DDPM.Network} network
   * @param {number} size @param {number} seed
   */
  const chainOf = (process, network, size, seed) => {
    const T = process.beta.length, draw = ddpm.seededNoise(seed);
    /** @type {Float32Array} */
    const first = draw(size);
    /** @type {Float32Array[]} */
    const drawn = [];
    /** @type {(DDPM.StepBack & {before: Float32Array, eps: Float32Array, z: Float32Array})[]} */
    const steps = [];

    /** @param {number} k */
    const noiseOf = (k) => {
      while (drawn.length <= k) drawn.push(draw(size));
      return drawn[k];
    };
    return {
      steps, T, first,
      /** @param {number} k @param {number} until @param {number} other a seed */
      change: (k, until, other) => {
        const fresh = ddpm.seededNoise(other, k);
        noiseOf(until - 1);
        for (let i = k; i < until; i++) drawn[i] = fresh(size);
        steps.length = k;
      },
      /**
       * Take the steps that are left.
       * @param {() => void} told @param {{aborted: boolean}} signal
       */
      run: async (told, signal) => {
        let before = steps.length ? steps[steps.length - 1].x : first;
        if (steps.length === T) return;
        /** @type {Float32Array} */
        let eps = first;
        const model = function* (/** @type {Float32Array} */ x, /** @type {number} */ t) {
          return (eps = yield* network(x, t));
        };
        const noise = () => noiseOf(steps.length);
        const walk = ddpm.SAMPLERS.ddpm({ ...process, model }, before, noise,
          { steps: T, from: T - steps.length });
        await ddpm.run(walk, (/** @type {DDPM.StepBack} */ step) => {
          steps.push({ ...step, before, eps, z: noise() });
          before = step.x;
          told();
        }, signal);
      },
    };
  };

  /** @param {number} v two digits of it */
  const short = (v) => String(Number(v.toPrecision(2)));

  globalThis.pylit.figures.chain = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    await host.load?.('digits.weights.js');
    const { config } = ddpm.packed, size = config.image_size, all = size * size;
    const network = await ddpm.run(ddpm.networkOf(ddpm.packed));
    const process = { beta: ddpm.betas[config.schedule](config.n_steps), model: network, variance: config.variance };
    let seed = 0, other = 2 ** 31, chain = chainOf(process, network, all, seed);
    const T = chain.T;
    // The step that is looked at, and how many of its lines have run
    let k = 0, line = 0;
    let stop = new AbortController(), running = false;
    /** @type {Float32Array | null} the end of the chain that was changed */
    let was = null;

    const NAMES = { x: 'xₜ', z: 'z', eps: 'ε', x0: 'x̂₀', mean: 'μ', next: 'xₜ₋₁' };
    /** @type {Record<string, HTMLCanvasElement>} */
    const pictures = {};
    const shown = Object.entries(NAMES).map(([kind, name]) => {
      pictures[kind] = ddpm.canvasOf(name, size);
      return ddpm.make('figure', {}, pictures[kind], ddpm.make('figcaption', {}, name));
    });
    const ofPage = LINES.map(([text]) => inPage(text));
    const lines = LINES.map(([text], i) => shownLine(ofPage[i], text));
    const state = ddpm.make('p', { className: 'state' });
    const ends = ['was', 'is'].map(() => ddpm.canvasOf('', size));
    const captions = [say('the end before'), say('the end now')];
    const compared = ddpm.make('div', { className: 'compared', hidden: true },
      ...ends.map((end, i) => ddpm.make('figure', {}, end, ddpm.make('figcaption', {}, captions[i]))),
      ddpm.make('p', {}));

    const halt = () => {
      stop.abort();
      running = false;
      play.textContent = say('Run');
    };
    /** @param {() => void} act what a button does to a chain that rests */
    const at_rest = (act) => () => {
      halt();
      act();
    };
    const play = ddpm.button(say('Run'), () => {
      if (running) {
        halt();
        return show();
      }
      if (k === T - 1 && line === LAST) { k = 0; line = 0; }
      watch().catch(host.failed);
    });
    const place = ddpm.slider(say('Along the chain'), { min: 0, max: T - 1, value: 0 }, at_rest(() => {
      k = Math.min(place.get(), chain.steps.length - 1);
      line = LAST;
      show();
    }), (/** @type {number} */ at) => `t = ${T - at}`);
    /** @param {number} by lines */
    const move = (by) => at_rest(() => {
      const to = Math.min(T * LINES.length - 1, Math.max(0, k * LINES.length + line + by));
      k = Math.floor(to / LINES.length);
      line = to % LINES.length;
      reach().catch(host.failed);
    });
    const back = ddpm.button(say('Back'), move(-1));
    const forth = [
      ddpm.button(say('Next line'), move(1)),
      ddpm.button(say('Next step'), move(LINES.length)),
    ];
    const once = ddpm.button(say('Another z in this step'), at_rest(() => change(k + 1)));
    const onwards = ddpm.button(say('Another z from here on'), at_rest(() => change(T)));
    // Why the slider or these buttons are off
    const why = ddpm.make('p', { className: 'named' });
    const fresh = ddpm.button(say('New noise'), at_rest(() => {
      seed += 1;
      restart();
    }));
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('What does each line of Algorithm 2 do to the picture?'))),
      ddpm.make('div', { className: 'controls' }, play, back, ...forth, place.element),
      ddpm.make('div', { className: 'made' }, ...shown),
      state,
      ddpm.make('ol', { className: 'program' }, ...lines),
      ddpm.make('div', { className: 'controls' }, once, onwards, fresh),
      why,
      compared,
      ddpm.make('p', {}, say('Run the chain to its end, go back to t = 800, and take another z from there on: often another digit comes of the same xₜ. From t = 200 on it mostly stays the same digit. Another z in one single step is hardly seen at the end, wherever the step is: it is one of a thousand.')),
    );

    /** What the lines that have run have made; and the line itself, in the page too. */
    const show = () => {
      const step = chain.steps[k];
      if (!step) return;
      const values = { x: step.before, z: step.z, eps: step.eps, x0: step.x0, mean: step.mean, next: step.x };
      const made = new Set(LINES.slice(0, line + 1).map(([, kind]) => kind));
      for (const [kind, canvas] of Object.entries(pictures)) {
        canvas.classList.toggle('unmade', !made.has(kind));
        ddpm.paint(canvas, values[/** @type {keyof values} */ (kind)], 1, size);
      }
      lines.forEach((element, i) => {
        element.classList.toggle('lit', i === line);
        ofPage[i]?.classList.toggle('lit', i === line);
      });
      place.set(k);
      const last = k === T - 1, t = T - k;
      place.input.disabled = chain.steps.length < T || running;
      // The last step adds no z
      for (const button of [once, onwards]) ddpm.switched(button, !place.input.disabled && !last);
      ddpm.switched(back, k > 0 || line > 0);
      for (const button of forth) ddpm.switched(button, !last || line < LAST || running);
      why.textContent = place.input.disabled
        ? say('When the chain has come to its end, you can go back along it and take another z.')
        : last ? say('At t = 1 the factor of z is 0: go back along the chain to take another z.') : '';
      place.element.title = place.input.disabled ? why.textContent : '';
      const [a, b] = step.weights.map(short);
      state.textContent = `t = ${t}: ` + ddpm.filled([
        last ? say('One step is still to be undone. xₜ is what the steps before have left.')
          : say('{t} steps are still to be undone. xₜ is what the steps before have left.'),
        say('New noise z is drawn. The last line will need it.'),
        say('The network is given xₜ and t, and guesses the noise ε in it.'),
        say('xₜ without this noise would be the picture x̂₀.'),
        say('x̂₀ is black or white in {n} of its {all} pixels now: what was beyond is brought back.'),
        say('The mean μ of the step back is {a} of x̂₀ and {b} of xₜ.'),
        say('xₜ₋₁ is μ and {sigma} of z.'),
      ][line], {
        t, all, a, b, sigma: short(step.sigma), n: step.x0.filter((v) => Math.abs(v) === 1).length,
      });
    };

    /** Take steps until the one that is looked at is there. */
    const reach = async () => {
      const mine = stop = new AbortController();
      if (chain.steps.length <= k) {
        const { signal } = mine;
        await chain.run(() => { if (chain.steps.length > k) mine.abort(); }, signal);
      }
      if (stop !== mine) return;
      show();
      host.announce(`${LINES[line][0]} ${state.textContent}`);
    };

    /** Go on to the end, and have a look at each step. */
    const watch = async () => {
      const { signal } = stop = new AbortController();
      running = true;
      play.textContent = say('Stop');
      line = LAST;
      // What has been computed is shown at the speed of the rest
      while (k < chain.steps.length - 1 && !signal.aborted) {
        k += 1;
        if (!ddpm.calm()) show();
        await new Promise((done) => { setTimeout(done, 5); });
      }
      if (signal.aborted) return;
      await chain.run(() => {
        k = chain.steps.length - 1;
        if (!ddpm.calm() || k % 100 === 0) show();
      }, signal);
      if (signal.aborted) return;
      halt();
      show();
      if (was) compare(was);
      else host.announce(state.textContent ?? '');
    };

    let changed = '';
    /** @param {number} until other noise for the steps from this one to there */
    const change = (until) => {
      was = chain.steps[T - 1].x;
      changed = until === T ? say('Another z in each step from t = {t} on')
        : say('Another z in the step t = {t} alone');
      changed = ddpm.filled(changed, { t: T - k });
      chain.change(k, until, other++);
      line = LAST;
      compared.hidden = true;
      watch().catch(host.failed);
    };

    /** @param {Float32Array} old */
    const compare = (old) => {
      const now = chain.steps[T - 1].x, rms = ddpm.rms(old, now);
      const moved = now.filter((v, i) => Math.abs(v - old[i]) > SEEN).length;
      [old, now].forEach((x, i) => {
        ddpm.paint(ends[i], x, 1, size);
        ends[i].setAttribute('aria-label', captions[i]);
      });
      const text = `${changed}: ` + ddpm.filled(
        say('the end differs by more than {seen}, which the eye can see, in {moved} of {all} pixels; over all of them the difference is {rms} (root mean square; white − black = 2).'),
        { seen: SEEN, moved, all, rms: rms.toFixed(2) });
      /** @type {Element} */ (compared.lastElementChild).textContent = text;
      compared.hidden = false;
      was = null;
      host.announce(text);
    };

    const restart = () => {
      // Of a chain without an end nothing can be changed
      for (const button of [once, onwards]) ddpm.switched(button, false);
      place.input.disabled = true;
      chain = chainOf(process, network, all, seed);
      k = 0;
      was = null;
      compared.hidden = true;
      watch().catch(host.failed);
    };
    restart();
  };

  Object.assign(ddpm, { chain: { LINES, chainOf } });
})();
