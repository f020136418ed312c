// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/unet.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs real.js
// @later digits.weights.js
//
// Two drawings of the reader's, noised to step t and brought back, and what lies between them.
(() => {
  'use strict';
  const { ddpm } = globalThis;

  const SIZE = 8, ALL = SIZE * SIZE;
  // So many of the steps are taken for a chain from its noisy end, and these mixtures are made
  const STEPS = 100, MIXTURES = [0, 0.25, 0.5, 0.75, 1], SHARES = ['0', '¼', '½', '¾', '1'];

  /** @param {number} T of the diffusion @param {number} t @returns {number} steps back from step `t` */
  const stepsTo = (T, t) => Math.round(t * STEPS / T);

  /**
   * The mixture of two images at step `t`, and what its chain makes of it: `interpolate` of the
   * sampler, on the shorter chain.
   * @param {DDPM.Process & {variance: string}} process @param {Float32Array} one
   * @param {Float32Array} other @param {number} weight @param {number} t steps, of all
   * @param {number} seed @param {(x: Float32Array) => void} told @param {{aborted: boolean}} signal
   */
  const between = async (process, one, other, weight, t, seed, told, signal) => {
    const from = stepsTo(process.beta.length, t);
    const noise = ddpm.seededNoise(seed), mixed = one.map((v, i) => (1 - weight) * v + weight * other[i]);
    if (from === 0) return { noised: mixed, back: mixed };
    const noised = ddpm.qSample(mixed, ddpm.alphaBar(process.beta)[t - 1], noise(ALL));
    told(noised);
    const walk = ddpm.SAMPLERS.ddpm(process, noised, noise, { steps: STEPS, from });
    const last = await ddpm.run(walk, (/** @type {DDPM.Step} */ step) => told(step.x), signal);
    return { noised, back: last?.x };
  };

  /**
   * How far two images are apart, on average over the pixels: of the way from black to white, which
   * is 2 long, in percent.
   * @param {Float32Array} x @param {Float32Array} y
   */
  const apart = (x, y) => Math.round(50 * x.reduce((sum, v, i) => sum + Math.abs(v - y[i]), 0) / x.length);

  /**
   * A board to draw on, by mouse, finger and keys.
   * @param {string} label @param {Float32Array} x @param {() => void} drawn
   */
  const boardOf = (label, x, drawn) => {
    const canvas = ddpm.canvasOf(label, SIZE);
    const cursor = ddpm.make('span', { className: 'cursor' });
    canvas.setAttribute('role', 'application');
    canvas.tabIndex = 0;
    let place = 0, ink = 1;
    const show = () => {
      ddpm.paint(canvas, x, 1, SIZE);
      cursor.style.left = `${100 / SIZE * (place % SIZE)}%`;
      cursor.style.top = `${100 / SIZE * Math.floor(place / SIZE)}%`;
    };
    /** @param {PointerEvent} event */
    const under = (event) => {
      const box = canvas.getBoundingClientRect();
      const [column, row] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
        .map((v) => Math.min(SIZE - 1, Math.max(0, Math.floor(SIZE * v))));
      return row * SIZE + column;
    };
    const begin = () => { ink = x[place] > 0 ? -1 : 1; };
    const put = () => {
      x[place] = ink;
      show();
    };
    /** @param {number} to a fast finger is told of in leaps: what lies between is drawn too */
    const drag = (to) => {
      const [column, row] = [place % SIZE, Math.floor(place / SIZE)];
      const [right, down] = [to % SIZE - column, Math.floor(to / SIZE) - row];
      const leaps = Math.max(Math.abs(right), Math.abs(down));
      for (let i = 1; i <= leaps; i++) {
        place = (row + Math.round(down * i / leaps)) * SIZE + column + Math.round(right * i / leaps);
        put();
      }
    };
    canvas.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
      canvas.setPointerCapture(event.pointerId);
      place = under(event);
      begin();
      put();
    });
    canvas.addEventListener('pointermove', (/** @type {PointerEvent} */ event) => {
      if (canvas.hasPointerCapture(event.pointerId)) drag(under(event));
    });
    // However it ends: a finger that the system takes away has drawn too
    canvas.addEventListener('lostpointercapture', drawn);
    /** @type {Record<string, [number, number]>} */
    const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    canvas.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      const move = MOVES[event.key];
      if (move) {
        const column = place % SIZE + move[0], row = Math.floor(place / SIZE) + move[1];
        if (Math.min(column, row) >= 0 && Math.max(column, row) < SIZE) place = row * SIZE + column;
        show();
      } else if (event.key === ' ' || event.key === 'Enter') {
        begin();
        put();
        drawn();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    show();
    return {
      element: ddpm.make('div', { className: 'board' }, canvas, cursor),
      clear: () => {
        x.fill(-1);
        show();
        drawn();
      },
    };
  };

  globalThis.pylit.figures.board = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    await host.load?.('digits.weights.js');
    const { config } = ddpm.packed;
    const process = {
      beta: ddpm.betas[config.schedule](config.n_steps), variance: config.variance,
      model: await ddpm.run(ddpm.networkOf(ddpm.packed)),
    };
    let seed = 0, stop = new AbortController();
    const drawings = [ddpm.real.three, ddpm.real.seven].map((x) => Float32Array.from(x));

    const again = () => { draw().catch(host.failed); };
    const labels = [say('First drawing: arrow keys move, space draws or erases'), say('Second drawing: arrow keys move, space draws or erases')];
    const boards = drawings.map((x, i) => boardOf(labels[i], x, again));
    const titles = [say('First drawing'), say('Second drawing')];
    const shown = boards.map(({ element, clear }, i) => ddpm.make('div', {},
      ddpm.make('p', { className: 'named' }, titles[i]), element, ddpm.button(say('Clear'), clear)));
    const level = ddpm.slider(say('Noise up to step'), { min: 0, max: config.n_steps, step: 10, value: 250 }, again,
      (/** @type {number} */ t) => `t = ${t}`);
    const fresh = ddpm.button(say('New noise'), () => { seed += 1; again(); });
    const rows = [say('noised'), say('brought back')].map((name) => ({
      name: ddpm.make('p', { className: 'named' }, name),
      pictures: MIXTURES.map((weight) => ddpm.canvasOf(`${name}, λ = ${weight}`, SIZE)),
    }));
    // Below each picture, which mixture it is
    const columns = rows.map(({ pictures }) => pictures.map((picture, i) =>
      ddpm.make('figure', {}, picture, ddpm.make('figcaption', {}, `λ = ${SHARES[i]}`))));
    const state = ddpm.make('p', { className: 'state' });
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('What is left of a drawing that has gone through noise, and what is made up?'))),
      ddpm.make('div', { className: 'controls' }, level.element, fresh),
      ddpm.make('div', { className: 'boards' }, shown[0], ddpm.make('div', {},
        ddpm.make('p', { className: 'named' }, say('Each column is a mixture of the drawings. λ is the share of the second.')),
        ...rows.flatMap(({ name }, i) => [name, ddpm.make('div', { className: 'pictures five' }, ...columns[i])])), shown[1]),
      state,
      ddpm.make('p', {}, say('Draw on a board with the mouse, a finger, or the arrow keys and the space bar. A stroke that begins on a dark cell draws in white; a stroke that begins on a bright cell erases. The leftmost column (λ = 0) is made from the first drawing, the rightmost (λ = 1) from the second, and the middle one (λ = ½) from half of each. Clear a board and draw a cross from corner to corner, or a letter. At t = 50 it comes back nearly as it was. At t = 250 it comes back more like a digit, as the model knows nothing else: strokes that a digit could have there may stay, others are made up, and what is drawn at the left or the right edge of the board is lost, as nearly all digits are black there. At t = 700 hardly anything of it is left: both drawings come back as nearly the same picture, which depends on the noise alone.')),
    );

    const draw = async () => {
      stop.abort();
      const { signal } = stop = new AbortController(), t = level.get(), steps = stepsTo(config.n_steps, t);
      const [noised, back] = rows.map(({ pictures }) => pictures);
      const ends = [], n = MIXTURES.length;
      for (const [i, weight] of MIXTURES.entries()) {
        let first = true, k = -1;
        const made = await between(process, drawings[0], drawings[1], weight, t, seed, (x) => {
          if (first) ddpm.paint(noised[i], x, 1, SIZE);
          if (first || !ddpm.calm()) ddpm.paint(back[i], x, 1, SIZE);
          first = false;
          k += 1;
          state.textContent = ddpm.filled(say('Drawing picture {i} of {n}: step {k} of {steps} …'), { i: i + 1, n, k, steps });
        }, signal);
        if (signal.aborted) return;
        ddpm.paint(noised[i], made.noised, 1, SIZE);
        ddpm.paint(back[i], made.back, 1, SIZE);
        ends.push(made.back);
      }
      const [one, other] = drawings;
      state.textContent = `t = ${t}: ` + ddpm.filled(
        say('on average, a pixel of the first drawing has changed by {a} % of the way from black to white, and one of the second by {b} %. The two drawings differ from each other by {c} %.'),
        { a: apart(one, ends[0]), b: apart(other, ends[n - 1]), c: apart(one, other) });
      host.announce(state.textContent);
    };
    again();
  };

  Object.assign(ddpm, { board: { between, apart, MIXTURES, STEPS } });
})();
