// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs svg.js
// @needs mixture.js
//
// The samplers in the plane, where the noise is known exactly: the data are a mixture of round
// Gaussians, and so is what noise makes of them.
(() => {
  'use strict';
  const { ddpm } = globalThis;
  const { T, beta, bar, epsOf, at } = ddpm.mixture, { draw } = ddpm.svg;

  const SPREAD = 0.12, MOST = 12;
  // Of so many starts the mean error is shown, and of the first the paths
  const STARTS = 64;
  /** @type {[number, number][]} */
  const CENTRES = [[-0.9, 0.7], [0.9, 0.8], [0.2, -1], [-0.7, -0.6]];
  const FIRST = { steps: 8, t: 0, seed: 1 };

  /**
   * The path of all starts under one sampler, a list of rows of points.
   * @param {string} name @param {number} steps @param {number} seed
   * @param {[number, number][]} centres
   */
  const pathOf = async (name, steps, seed, centres) => {
    const noise = ddpm.seededNoise(seed), x = noise(2 * STARTS);
    function* model(/** @type {Float32Array} */ xt, /** @type {number} */ t) {
      yield null;
      return epsOf(centres, SPREAD, xt, t);
    }
    const rows = [x];
    const walk = ddpm.SAMPLERS[name]({ beta, model, variance: 'beta' }, x, noise, { steps, clip: false });
    await ddpm.run(walk, (/** @type {DDPM.Step} */ step) => { rows.push(step.x); });
    return rows;
  };

  /** @param {Float32Array} x @param {Float32Array} y the mean distance of their points */
  const apart = (x, y) => {
    let sum = 0;
    for (let i = 0; i < x.length; i += 2) sum += Math.hypot(x[i] - y[i], x[i + 1] - y[i + 1]);
    return sum / (x.length / 2);
  };

  // ## The drawing
  const RINGS = [2, 1.5, 1, 0.5];
  /** @param {[number, number][]} centres @param {number} t */
  const rings = (centres, t) => centres.flatMap(([p, q]) => RINGS.map((r) => draw('circle', {
    class: 'ring', cx: at(Math.sqrt(bar[t]) * p), cy: at(-Math.sqrt(bar[t]) * q),
    r: at(r * Math.sqrt(bar[t] * SPREAD ** 2 + 1 - bar[t])),
  })));

  /** @param {[number, number][]} centres @param {number} t where a step goes, from a grid */
  const arrows = (centres, t) => {
    const parts = [];
    for (let x = -2.75; x < 3; x += 0.5) {
      for (let y = -2.75; y < 3; y += 0.5) {
        const [u, v] = epsOf(centres, SPREAD, [x, y], t).map((/** @type {number} */ e) => -e), size = Math.hypot(u, v);
        if (size < 1e-6) continue;
        const long = 0.4 * Math.tanh(size) / size, wide = 0.035 / size;
        parts.push(`M${at(x - v * wide)} ${at(-(y + u * wide))}L${at(x + u * long)} ${at(-(y + v * long))}`
          + `L${at(x + v * wide)} ${at(-(y - u * wide))}Z`);
      }
    }
    return draw('path', { class: 'arrows', d: parts.join('') });
  };

  /** @param {Float32Array[]} rows @param {string} kind */
  const trace = (rows, kind) => {
    const points = rows.map((x) => `${at(x[0])},${at(-x[1])}`);
    const dots = rows.length > 60 ? [] : points.slice(1).map((point) => {
      const [cx, cy] = point.split(',');
      return draw('circle', { class: `dot ${kind}`, cx, cy, r: 4 });
    });
    return [draw('polyline', { class: `trace ${kind}`, points: points.join(' ') }), ...dots];
  };

  /** @param {string} kind its line, as it is in the drawing */
  const swatch = (kind) => {
    const element = draw('svg', {
      viewBox: '0 0 32 12', width: 26, height: 10, 'aria-hidden': 'true',
      style: 'margin-right: .5em; vertical-align: middle',
    });
    element.append(draw('line', { class: `trace ${kind}`, x1: 0, x2: 32, y1: 6, y2: 6 }));
    return element;
  };

  globalThis.pylit.figures.plane = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    const NAMES = [['flow', say('exact flow')], ['ddim', 'DDIM'], ['pndm', 'PNDM'],
      ['dpm', 'DPM-Solver++ 2M'], ['ddpm', say('ancestral')]];
    let centres = [...CENTRES], { seed } = FIRST;
    /** @type {Float32Array[] | null} */
    let flow = null;

    const plot = draw('svg', { viewBox: '-300 -300 600 600', class: 'plot square', role: 'img' });
    const under = draw('g', {}), over = draw('g', {});
    plot.append(under, over);
    const table = ddpm.make('table', {}), state = ddpm.make('p', { className: 'state' });
    const again = () => { update().catch(host.failed); };
    const steps = ddpm.slider(say('Steps'), { min: 1, max: 50, value: FIRST.steps }, again);
    const level = ddpm.slider(say('Noise of the rings and arrows'), { min: 0, max: T - 1, value: FIRST.t },
      () => background(), (/** @type {number} */ t) => `t = ${t + 1}`);
    const full = () => centres.length >= MOST;
    const counted = () => {
      ddpm.switched(more, !full());
      plot.style.cursor = full() ? 'default' : '';
      state.textContent = ddpm.filled(
        full() ? say('The data have {n} points, which is the most.') : say('The data have {n} points.'),
        { n: centres.length });
    };
    const moved = () => { flow = null; counted(); background(); again(); };
    const add = (/** @type {number} */ x, /** @type {number} */ y) => {
      if (full()) return host.announce(state.textContent ?? '');
      centres.push([x, y]);
      moved();
    };
    const more = ddpm.button(say('Add a point'), () => add(3 * Math.random() - 1.5, 3 * Math.random() - 1.5));
    const buttons = [
      ddpm.button(say('New noise'), () => { seed += 1; flow = null; again(); }),
      more,
      ddpm.button(say('As at first'), () => {
        centres = [...CENTRES];
        ({ seed } = FIRST);
        steps.set(FIRST.steps);
        level.set(FIRST.t);
        moved();
      }),
    ];
    plot.addEventListener('click', (/** @type {Event} */ event) => {
      const { clientX, clientY } = /** @type {MouseEvent} */ (event);
      const box = plot.getBoundingClientRect();
      add(6 * (clientX - box.left) / box.width - 3, 3 - 6 * (clientY - box.top) / box.height);
    });
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('How far from the exact way does a sampler end, with so few steps?'))),
      ddpm.make('div', { className: 'controls' }, steps.element, level.element, ...buttons),
      state,
      ddpm.make('div', { className: 'beside' }, plot, ddpm.make('div', {}, table,
        ddpm.make('p', {}, ddpm.filled(say('Each blob is the density around a point of the data, under the noise of step t: its rings lie at ½, 1, 1½ and 2 standard deviations. The arrows are the score: they point to where the density grows. The lines are the paths from one noise. The mean error is the mean distance between the end of a sampler and that of the exact flow, over {starts} such noises.'), { starts: STARTS })),
        ddpm.make('p', {}, say('With 1 step all end near the mean of the data. With the four first points, a line of second order ends nearest at 7 to 11 steps (DPM-Solver++) and from 30 steps on (PNDM); in between, DDIM may be as near. The ancestral line goes its own way, by the noise that it adds. Touch the plane to add a point to the data.')))),
    );

    const background = () => {
      under.replaceChildren(...rings(centres, level.get()), arrows(centres, level.get()));
    };

    let asked = 0;
    const update = async () => {
      const mine = ++asked;
      flow ??= await pathOf('dpm', T, seed, centres);
      const exact = flow[flow.length - 1], n = steps.get();
      const found = [{ kind: 'flow', name: NAMES[0][1], rows: flow, off: '' }];
      for (const [kind, name] of NAMES.slice(1)) {
        const rows = await pathOf(kind, n, seed, centres);
        const off = kind === 'ddpm' ? '–' : apart(rows[n], exact).toFixed(4);
        found.push({ kind, name, rows, off });
      }
      // Another change has come in between: its answer follows
      if (mine !== asked) return;
      over.replaceChildren(...found.flatMap(({ rows, kind }) => trace(rows, kind)));
      table.replaceChildren(
        ddpm.make('tr', {}, ddpm.make('th', { scope: 'col' }, say('Sampler')),
          ddpm.make('th', { scope: 'col' }, say('mean error'))),
        ...found.map(({ kind, name, off }) => ddpm.make('tr', {},
          ddpm.make('th', { scope: 'row', className: kind }, swatch(kind), name), ddpm.make('td', {}, off))));
      const told = found.filter(({ off }) => Number(off)).map(({ name, off }) => `${name} ${off}`);
      const text = ddpm.filled(say('{n} steps, mean error: {errors}'), { n, errors: told.join(', ') });
      plot.setAttribute('aria-label', text);
      host.announce(`${state.textContent} ${text}`);
    };
    counted();
    background();
    await update();
  };

  Object.assign(ddpm, { plane: { epsOf, pathOf, apart, CENTRES, rings, arrows, trace } });
})();
