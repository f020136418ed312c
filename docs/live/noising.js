// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs real.js
// @needs lines.js
//
// One digit under one noise: the numbers stand in the formula of the page, and in its code.
(() => {
  'use strict';
  const { ddpm } = globalThis;
  const { inPage, shownLine } = ddpm.lines;

  const T = 1000, SIZE = 8;
  const BAR = ddpm.alphaBar(ddpm.betas.linear(T));

  // What MathML says of the formula that is looked for
  const FORMULA = 'αˉtx0+1−αˉtϵ';
  // Lines of the code, and what each has made
  /** @type {[string, (bar: number) => string][]} */
  const LINES = [
    ['xt = alpha_bar[t] ** 0.5 * x0 + (1 - alpha_bar[t]) ** 0.5 * eps', () => ''],
    ['mean = gather(self.alpha_bar, t, x0.ndim) ** 0.5 * x0', (bar) => `${shown(Math.sqrt(bar), bar)} * x0`],
    ['var = gather(self.one_minus_alpha_bar, t, x0.ndim)', (bar) => shown(1 - bar, bar)],
    ['return mean + var**0.5 * eps', (bar) => `mean + ${shown(Math.sqrt(1 - bar), bar)} * eps`],
  ];
  /**
   * With more digits at both ends, where four of them would make 0 and 1 of what is neither.
   * @param {number} v @param {number} bar $\bar\alpha_t$, of which `v` is made
   */
  const shown = (v, bar) => v.toFixed(Math.min(bar, 1 - bar) < 0.001 ? 6 : 4);

  /** The formula as the page has it, and how to put a number in the place of each $\bar\alpha_t$. */
  const formulaOfPage = () => {
    const all = /** @type {HTMLElement[]} */ (Array.from(document.querySelectorAll('.row .katex')));
    const found = all.find((one) => one.querySelector('math')?.textContent?.replace(/\s/g, '') === FORMULA);
    if (!found) return null;
    const element = /** @type {HTMLElement} */ (found.cloneNode(true));
    const drawn = Array.from(element.querySelectorAll('[data-sym="alpha_bar"]'));
    const read = Array.from(element.querySelectorAll('msub')).filter((part) => part.querySelector('mover'));
    for (const part of read) {
      part.replaceWith(document.createElementNS('http://www.w3.org/1998/Math/MathML', 'mn'));
    }
    const numbers = Array.from(element.querySelectorAll('mn:empty'));
    return {
      element,
      /** @param {string} text */
      put: (text) => { for (const part of [...drawn, ...numbers]) part.textContent = text; },
    };
  };

  /** What the formula makes: the page has its right side alone. */
  const leftSide = () => ddpm.make('span', { className: 'katex left' },
    ddpm.make('i', {}, 'x', ddpm.make('sub', {}, 't')), ' =');

  /**
   * A line, and how to put a number in the place of `alpha_bar[t]`.
   * @param {string} text
   */
  const lineOf = (text) => {
    const element = shownLine(inPage(text), text), code = /** @type {HTMLElement} */ (element.lastElementChild);
    // The remark of the line makes room for what it gives here
    for (const part of Array.from(code.querySelectorAll('.c'))) part.remove();
    if (code.lastChild instanceof Text) code.lastChild.data = code.lastChild.data.trimEnd();
    const remark = ddpm.make('span', { className: 'c' });
    const parts = Array.from(code.querySelectorAll('[data-sym="alpha_bar"]'))
      .filter((part) => part.nextSibling?.textContent?.startsWith('[t]'));
    for (const part of parts) {
      const rest = /** @type {Text} */ (part.nextSibling);
      rest.data = rest.data.slice('[t]'.length);
    }
    code.append(remark);
    return {
      element,
      /** @param {string} bar @param {string} made */
      put: (bar, made) => {
        for (const part of parts) part.textContent = bar;
        remark.textContent = made && `  # ${made}`;
      },
    };
  };

  globalThis.pylit.figures.noising = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    let seed = 0;
    const step = ddpm.slider('t', { min: 1, max: T, value: 100 }, () => update());
    const fresh = ddpm.button(say('New noise'), () => { seed += 1; update(); });
    const formula = formulaOfPage(), lines = LINES.map(([text]) => lineOf(text));
    const names = ['xₜ', 'x₀', 'ε'], pictures = names.map((name) => ddpm.canvasOf(name, SIZE));
    const parts = pictures.map((picture, i) =>
      ddpm.make('figure', {}, picture, ddpm.make('figcaption', {}, names[i])));
    const factors = names.slice(1).map(() => ddpm.make('span', {}));
    const signs = ['=', '+'].map((sign, i) => ddpm.make('div', { className: 'factor' },
      ddpm.make('span', { className: 'sign' }, sign), ' ', factors[i]));
    const state = ddpm.make('p', { className: 'state' });
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('How does one line reach step t, without the steps before it?'))),
      ddpm.make('div', { className: 'controls' }, step.element, fresh),
      ddpm.make('p', { className: 'formula large' }, ...(formula ? [leftSide(), formula.element] : [])),
      ddpm.make('div', { className: 'sum' }, parts[0], signs[0], parts[1], signs[1], parts[2]),
      state,
      ddpm.make('ol', { className: 'program' }, ...lines.map(({ element }) => element)),
      ddpm.make('p', {}, say('Move t slowly: digit and noise stay the same, and the two factors alone change. From t = 260 on the noise has the larger one. Can you still read the 3 there? Take new noise a few times: it depends on the noise.')),
    );

    const update = () => {
      const t = step.get(), bar = BAR[t - 1], eps = ddpm.seededNoise(seed)(SIZE * SIZE);
      const [signal, spread] = [Math.sqrt(bar), Math.sqrt(1 - bar)].map((v) => shown(v, bar));
      [ddpm.qSample(ddpm.real.three, bar, eps), ddpm.real.three, eps].forEach((x, i) => {
        ddpm.paint(pictures[i], x, 1, SIZE);
      });
      factors.forEach((factor, i) => { factor.textContent = `${[signal, spread][i]} ·`; });
      const number = shown(bar, bar);
      formula?.put(number);
      lines.forEach((line, i) => line.put(number, LINES[i][1](bar)));
      state.textContent = `t = ${t}: ` + ddpm.filled(
        say('the squares of the factors are {a} and {b}, together 1.'), { a: number, b: shown(1 - bar, bar) });
      host.announce(`${state.textContent} xₜ = ${signal} x₀ + ${spread} ε`);
    };
    update();
  };

  Object.assign(ddpm, { noising: { FORMULA, LINES: LINES.map(([text]) => text), BAR } });
})();
