// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs real.js
// @needs svg.js
//
// One digit under one noise, at any step of a schedule that the reader chooses or bends.
(() => {
  'use strict';
  const { ddpm } = globalThis;
  const { draw, signed } = ddpm.svg;

  const T = 1000, SIZE = 8;
  const DIGIT = ddpm.real.three;
  const SHOWN = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => Math.max(0, i * T / 8 - 1));
  // Where the logarithm of the signal-to-noise ratio begins in a schedule of the reader's own
  const FIRST = Math.log(9999);

  /** @param {number} a $\bar\alpha$ */
  const logSnr = (a) => Math.log(a / (1 - a));

  /** @param {number[]} bar in how many steps $\log\text{SNR}$ is at most $-6$, but for rounding */
  const below = (bar) => bar.filter((a) => logSnr(a) < -6 + 1e-9).length;

  /** @param {number} v a factor, with digits that say something if it is small */
  const factor = (v) => v < 0.01 ? v.toPrecision(3) : v.toFixed(4);

  /**
   * $\bar\alpha$ of a schedule; the reader's own is a line in $\log\text{SNR}$, bent.
   * @param {string} name @param {number} last @param {number} bend
   */
  const barOf = (name, last, bend) => {
    if (name !== 'own') return ddpm.alphaBar(ddpm.betas[name](T));
    return Array.from({ length: T }, (_, t) => {
      const ratio = FIRST + (last - FIRST) * (t / (T - 1)) ** bend;
      return 1 / (1 + Math.exp(-ratio));
    });
  };

  // ## The drawing: the share of the signal, and below it the logarithm of the ratio
  const LEFT = 40;
  const PANELS = [
    { top: 0, low: 0, high: 1, ticks: [0, 0.5, 1], of: (/** @type {number} */ a) => a, name: 'ᾱ' },
    { top: 250, low: -12, high: 10, ticks: [-12, -6, 0, 6], of: logSnr, name: 'log SNR' },
  ];

  /**
   * @param {Record<string, number[]>} curves @param {string} chosen one of them
   * @param {number} t @param {Record<string, string>} names
   */
  const plots = (curves, chosen, t, names) => PANELS.flatMap(({ top, low, high, ticks, of, name }) => {
    /** @param {number} v */
    const y = (v) => top + 220 - 190 * (Math.min(high, Math.max(low, v)) - low) / (high - low);
    /** @param {number} at */
    const x = (at) => LEFT + 300 * at / (T - 1);
    return [
      draw('text', { class: 'tick', x: LEFT, y: top + 18 }, name),
      ...ticks.flatMap((v) => [
        draw('line', { class: 'grid', x1: LEFT, x2: LEFT + 300, y1: y(v), y2: y(v) }),
        draw('text', { class: 'tick', x: LEFT - 6, y: y(v) + 4, 'text-anchor': 'end' }, signed(v)),
      ]),
      draw('text', { class: 'tick', x: LEFT + 300, y: top + 240, 'text-anchor': 'end' }, `t = ${T}`),
      ...Object.entries(curves).map(([kind, bar]) => draw('polyline', {
        class: kind === chosen ? `trace ${kind}` : `trace thin ${kind}`,
        points: bar.filter((_, i) => i % 9 === 0).map((a, i) => `${x(9 * i).toFixed(1)},${y(of(a)).toFixed(1)}`).join(' '),
      })),
      ...Object.keys(curves).sort().map((kind, i) => draw('text', {
        class: `label ${kind}`, x: LEFT + 75 * (i + 1), y: top + 18,
      }, names[kind])),
      draw('line', { class: 'now', x1: x(t), x2: x(t), y1: top + 30, y2: top + 220 }),
      draw('circle', { class: `dot ${chosen}`, cx: x(t), cy: y(of(curves[chosen][t])), r: 6 }),
    ];
  });

  globalThis.pylit.figures.forward = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    let seed = 0;
    const again = () => { update(); };
    const names = { linear: say('linear'), cosine: say('cosine'), own: say('your own') };
    const kind = ddpm.choice(say('Schedule'), Object.entries(names), 'linear', again);
    const step = ddpm.slider('t', { min: 1, max: T, value: 250 }, again);
    const last = ddpm.slider(say('log SNR at the end'), { min: -12, max: 0, step: 0.5, value: -6 }, again, signed);
    const bend = ddpm.slider(say('Bend'), { min: 0.2, max: 3, step: 0.1, value: 1 }, again,
      (/** @type {number} */ v) => v.toFixed(1));
    const noise = ddpm.button(say('New noise'), () => { seed += 1; update(); });
    const plot = draw('svg', { viewBox: '0 0 360 500', class: 'plot upright', role: 'img' });
    const large = ddpm.canvasOf('', SIZE);
    const strip = SHOWN.map(() => ddpm.canvasOf('', SIZE));
    const formula = ddpm.make('p', { className: 'formula' }), state = ddpm.make('p', { className: 'state' });
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('How much of a digit is left at step t, and who decides it?'))),
      ddpm.make('div', { className: 'controls' }, kind.element, step.element, last.element, bend.element, noise),
      ddpm.make('div', { className: 'beside narrow' }, large, ddpm.make('div', {}, formula, plot)),
      ddpm.make('div', { className: 'pictures nine' }, ...strip),
      state,
      ddpm.make('p', {}, say('SNR, the signal-to-noise ratio, compares variances: it is the square of the first factor in xₜ over the square of the second. The thick line is the schedule that was chosen, and the dot is step t. Move t until you can no longer say which digit it is: by then most of the linear schedule is still to come. Then take a schedule of your own, and let it end at log SNR = 0: the last picture is no longer pure noise, and a chain that starts from noise starts at the wrong place.')),
    );

    const update = () => {
      const chosen = kind.get(), t = step.get() - 1;
      last.input.disabled = bend.input.disabled = chosen !== 'own';
      /** @type {Record<string, number[]>} */
      const curves = { linear: barOf('linear', 0, 1), cosine: barOf('cosine', 0, 1) };
      if (chosen === 'own') curves.own = barOf('own', last.get(), bend.get());
      const bar = curves[chosen], eps = ddpm.seededNoise(seed)(SIZE * SIZE);
      // What is chosen is drawn over the others
      const others = Object.entries(curves).filter(([name]) => name !== chosen);
      plot.replaceChildren(...plots({ ...Object.fromEntries(others), [chosen]: bar }, chosen, t, names));
      ddpm.paint(large, ddpm.qSample(DIGIT, bar[t], eps), 1, SIZE);
      SHOWN.forEach((at, i) => {
        ddpm.paint(strip[i], ddpm.qSample(DIGIT, bar[at], eps), 1, SIZE);
        strip[i].setAttribute('aria-label', ddpm.filled(say('The digit at step {t}'), { t: at + 1 }));
      });
      formula.textContent = `xₜ = ${factor(Math.sqrt(bar[t]))} · x₀ + ${factor(Math.sqrt(1 - bar[t]))} · ε`;
      state.textContent = ddpm.filled(
        say('At the end {left} of the image is left. In {low} of 1000 steps log SNR is at most −6: there the variance of the noise is at least 403 times that of the image.'),
        { left: factor(Math.sqrt(bar[T - 1])), low: below(bar) });
      large.setAttribute('aria-label', ddpm.filled(say('The digit at step {t}'), { t: t + 1 }));
      plot.setAttribute('aria-label', ddpm.filled(say('log SNR at step {t}: {ratio}'),
        { t: t + 1, ratio: signed(logSnr(bar[t]).toFixed(1)) }));
      host.announce(`${formula.textContent}. ${state.textContent}`);
    };
    update();
  };

  Object.assign(ddpm, { forward: { barOf, logSnr, below, factor } });
})();
