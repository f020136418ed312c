// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs svg.js
// @needs mixture.js
//
// Guidance where everything is known: two classes in the plane, each a mixture of round Gaussians.
(() => {
  'use strict';
  const { ddpm } = globalThis;
  const { T, beta, epsOf, at } = ddpm.mixture, { draw, signed } = ddpm.svg;

  const SPREAD = 0.45, STARTS = 300, STEPS = 50;
  // The first class has a place beside the second, and one of its own
  /** @type {[number, number][][]} */
  const CLASSES = [[[-1.3, 0.5], [0, -0.5]], [[0.6, 0.4]]];
  const ALL = CLASSES.flat();

  /**
   * Where the chains of class `c` end, pushed by `w`.
   * @param {number} c @param {number} w @param {number} seed
   * @returns {Promise<Float32Array>} points in a row
   */
  const pointsOf = async (c, w, seed) => {
    const noise = ddpm.seededNoise(seed), x = noise(2 * STARTS);
    function* network(/** @type {Float32Array} */ xt, /** @type {number} */ t, /** @type {number} */ label) {
      yield null;
      return epsOf(label < 0 ? ALL : CLASSES[label], SPREAD, xt, t);
    }
    const model = ddpm.guided(network, c, w, x.length);
    const walk = ddpm.SAMPLERS.dpm({ beta, model }, x, noise, { steps: STEPS, clip: false });
    return (await ddpm.run(walk)).x;
  };

  /** @param {[number, number][]} centres @param {number} x @param {number} y all but a factor */
  const density = (centres, x, y) => centres.reduce((sum, [p, q]) =>
    sum + Math.exp(-((x - p) ** 2 + (y - q) ** 2) / (2 * SPREAD ** 2)), 0);

  /** @param {number} c @param {number} x @param {number} y $p(c|x)$ */
  const certainty = (c, x, y) => density(CLASSES[c], x, y) / density(ALL, x, y);

  /** @param {number} c @param {Float32Array} points mean of $p(c|x)$, and the spread of the points */
  const measured = (c, points) => {
    let sure = 0, x = 0, y = 0, squares = 0;
    const n = points.length / 2;
    for (let i = 0; i < points.length; i += 2) {
      const [p, q] = [points[i], points[i + 1]];
      sure += certainty(c, p, q) / n;
      x += p / n;
      y += q / n;
      squares += (p * p + q * q) / n;
    }
    return { sure, spread: Math.sqrt(squares - x * x - y * y) };
  };

  // ## The drawing: $\tilde p(x|c) \propto p(x|c)\,p(c|x)^w$ in dots as on newsprint, points upon it
  /** @param {string} kind @param {SVGElement[]} inside */
  const group = (kind, inside) => {
    const element = draw('g', { class: kind });
    element.append(...inside);
    return element;
  };

  const GRID = 0.12, MOST = 0.058;
  /** @param {number} c @param {number} w */
  const newsprint = (c, w) => {
    const dots = [];
    for (let x = -2.94; x < 3; x += GRID) {
      for (let y = -2.94; y < 3; y += GRID) {
        dots.push({ x, y, p: density(CLASSES[c], x, y) * certainty(c, x, y) ** w });
      }
    }
    const most = Math.max(...dots.map(({ p }) => p));
    return group('ring dense', dots.filter(({ p }) => p > most / 100).map(({ x, y, p }) =>
      draw('circle', { cx: at(x), cy: at(-y), r: at(MOST * Math.sqrt(p / most)) })));
  };

  globalThis.pylit.figures.classes = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    let seed = 1;
    const again = () => { update().catch(host.failed); };
    const NAMES = [say('blue'), say('orange')], KINDS = ['linear', 'cosine'];
    const label = ddpm.choice(say('Class'), NAMES.map((name, i) => [String(i), name]), '0', again);
    // In one line, in a narrow table too
    const named = (/** @type {number} */ w) => `w\u00a0=\u00a0${signed(w)}`;
    const push = ddpm.slider(say('Guidance'), { min: -1, max: 8, step: 0.5, value: 2 }, again, named);
    const fresh = ddpm.button(say('New noise'), () => { seed += 1; again(); });
    const plot = draw('svg', { viewBox: '-300 -220 600 440', class: 'plot', role: 'img' });
    const table = ddpm.make('table', {});
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('What does guidance do to the points of a class?'))),
      ddpm.make('div', { className: 'controls' }, label.element, push.element, fresh),
      ddpm.make('div', { className: 'beside' }, plot, ddpm.make('div', {}, table,
        ddpm.make('p', {}, say('The rings are the two classes, at one and two deviations: two places of the blue class, one of the orange. The grey dots are the density that guidance asks for, p(x|c)·p(c|x)ʷ; the points are what 50 steps draw. Move w up: fewer points come to the place beside the other class, and all move away from it, further than the grey does. At w = −1 the class is not heard: points of both classes are drawn, in neither colour.')))),
    );

    /** @param {number} w @param {Float32Array} points */
    const row = (w, points) => {
      const { sure, spread } = measured(Number(label.get()), points);
      return [named(w), `${(100 * sure).toFixed(1)} %`, spread.toFixed(2)];
    };

    let asked = 0;
    const update = async () => {
      const mine = ++asked, c = Number(label.get()), w = push.get();
      const plain = await pointsOf(c, 0, seed), points = await pointsOf(c, w, seed);
      // Another change has come in between: its answer follows
      if (mine !== asked) return;
      const shown = [];
      for (let i = 0; i < points.length; i += 2) {
        shown.push(draw('circle', { cx: at(points[i]), cy: at(-points[i + 1]), r: 3 }));
      }
      const rings = CLASSES.flatMap((centres, i) => centres.flatMap(([p, q]) => [1, 2].map((r) =>
        draw('circle', { class: `trace thin ${KINDS[i]}`, cx: at(p), cy: at(-q), r: at(r * SPREAD) }))));
      plot.replaceChildren(newsprint(c, w), ...rings, group(w > -1 ? `dot ${KINDS[c]}` : 'dot', shown));
      const rows = [row(0, plain), ...(w ? [row(w, points)] : [])];
      const head = ['w', say('a classifier is sure'), say('spread')];
      table.replaceChildren(
        ddpm.make('tr', {}, ...head.map((text) => ddpm.make('th', { scope: 'col' }, text))),
        ...rows.map(([first, ...others]) => ddpm.make('tr', {}, ddpm.make('th', { scope: 'row' }, first),
          ...others.map((text) => ddpm.make('td', {}, text)))));
      const text = rows.map((cells) => cells.map((cell, i) => i ? `${head[i]}: ${cell}` : cell).join(', ')).join('; ');
      plot.setAttribute('aria-label', text);
      host.announce(text);
    };
    await update();
  };

  Object.assign(ddpm, { classes: { CLASSES, SPREAD, pointsOf, measured } });
})();
