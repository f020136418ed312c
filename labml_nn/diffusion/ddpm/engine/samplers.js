// # Samplers in the browser
//
// The [samplers](../../samplers/index.html), for one image at a time: the same steps, the same
// clipping, the same order of the noise. As there, they know nothing of what makes the guess, and
// nothing of what an image is: any row of numbers will do.
((ddpm) => {
  'use strict';

  // ## Schedules
  /** @type {Record<string, (T: number) => number[]>} */
  const betas = {
    linear: (T) => Array.from({ length: T }, (_, i) => T > 1 ? 1e-4 + (0.02 - 1e-4) * i / (T - 1) : 1e-4),
    cosine: (T) => {
      /** @param {number} t */
      const f = (t) => Math.cos((t / T + 0.008) / 1.008 * Math.PI / 2) ** 2;
      return Array.from({ length: T }, (_, i) => Math.min(1 - f(i + 1) / f(i), 0.999));
    },
  };

  /** @param {number[]} beta $\bar\alpha$, the products of $1 - \beta$ */
  const alphaBar = (beta) => {
    let product = 1;
    return beta.map((b) => (product *= 1 - b));
  };

  /**
   * $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon$
   * @param {Float32Array} x0 @param {number} bar $\bar\alpha_t$ @param {Float32Array} eps
   */
  const qSample = (x0, bar, eps) =>
    x0.map((v, i) => Math.sqrt(bar) * v + Math.sqrt(1 - bar) * eps[i]);

  // ## The steps $\tau$, rising
  /** @type {Record<string, (i: number, n: number, T: number) => number>} */
  const SPACINGS = {
    leading: (i, n, T) => Math.floor(i * T / n),
    linspace: (i, n, T) => n > 1 ? Math.floor((2 * i * (T - 1) + n - 1) / (2 * n - 2)) : T - 1,
    trailing: (i, n, T) => Math.floor((2 * (i + 1) * T + n) / (2 * n)) - 1,
    quadratic: (i, n, T) => n > 1 ? Math.max(i, Math.floor(i * i * (T - 1) / (n - 1) ** 2)) : T - 1,
  };

  /** @param {string} spacing @param {number} n @param {number} T */
  const spaced = (spacing, n, T) =>
    Array.from({ length: n }, (_, i) => SPACINGS[spacing](i, n, T));

  /**
   * What all samplers have: the steps, signal and noise at each, and one guess made consistent.
   * Index -1, the image itself, is the last of each list.
   * @param {DDPM.Process} process @param {DDPM.How} how
   */
  const prepared = ({ beta, model }, how) => {
    const { steps, spacing = 'trailing', clip = true } = how;
    const bar = alphaBar(beta), tau = spaced(spacing, steps, beta.length);
    const signal = bar.map(Math.sqrt), noise = bar.map((a) => Math.sqrt(1 - a));
    // $\bar\alpha$ before each step and $\beta'$ of the shorter chain
    const before = tau.map((_, i) => i ? bar[tau[i - 1]] : 1);
    const short = tau.map((t, i) => ({
      t, signal: signal[t], noise: noise[t],
      next: i ? signal[tau[i - 1]] : 1, left: i ? noise[tau[i - 1]] : 0,
      beta: 1 - bar[t] / before[i],
      tilde: (1 - before[i]) / (1 - bar[t]) * (1 - bar[t] / before[i]),
    }));

    /**
     * $\hat x_0$, clipped, and the $\epsilon$ that goes with it; `more` is a learned variance.
     * @param {Float32Array} x @param {Float32Array} eps @param {typeof short[0]} at
     */
    const consistent = (x, eps, at) => {
      const n = x.length, x0 = new Float32Array(n), out = new Float32Array(n);
      for (let i = 0; i < n; i++) {
        const guess = (x[i] - at.noise * eps[i]) / at.signal;
        x0[i] = clip ? Math.min(1, Math.max(-1, guess)) : guess;
        out[i] = clip ? (x[i] - at.signal * x0[i]) / at.noise : eps[i];
      }
      return { eps: out, x0, more: eps.subarray(n) };
    };

    /** @param {Float32Array} x @param {typeof short[0]} at */
    function* predict(x, at) {
      return consistent(x, yield* model(x, at.t), at);
    }
    return { short, predict, consistent };
  };

  // ## The four
  //
  // Each yields `null` where the work may rest, and `{t, x, x0}` after each step.
  /** @type {Record<string, DDPM.Chain>} */
  const SAMPLERS = {
    // ### Ancestral: Algorithm 2 on the shorter chain
    // `from` steps are undone; all of them when it is not given
    *ddpm(process, x, noise, how) {
      const { short, predict } = prepared(process, how);
      const all = short.length === process.beta.length;
      const own = process.variance ?? 'beta';
      const variance = how.variance ?? (own === 'learned' || all ? own : 'beta_tilde');
      for (let k = (how.from ?? short.length) - 1; k >= 0; k--) {
        const at = short[k], z = noise(x.length);
        const { x0, more } = yield* predict(x, at);
        // $\tilde\beta_1 = 0$ has no logarithm, so the first step borrows the second's
        const low = Math.log(k ? at.tilde : short.length > 1 ? short[1].tilde : at.beta);
        const high = Math.log(at.beta);
        const given = Math.sqrt(variance === 'beta' ? at.beta : at.tilde);
        const weights = [at.next * at.beta / at.noise ** 2,
          Math.sqrt(1 - at.beta) * at.left ** 2 / at.noise ** 2];
        const mean = Float32Array.from(x, (xt, i) => weights[0] * x0[i] + weights[1] * xt);
        x = mean.map((mu, i) => {
          const sigma = variance === 'learned'
            ? Math.exp((low + (more[i] + 1) / 2 * (high - low)) / 2) : given;
          return mu + (k ? sigma * z[i] : 0);
        });
        yield { t: at.t, x, x0, mean, weights, sigma: k ? given : 0 };
      }
    },

    // ### DDIM
    *ddim(process, x, noise, how) {
      const { short, predict } = prepared(process, how);
      const eta = how.eta ?? 0;
      for (let k = short.length - 1; k >= 0; k--) {
        const at = short[k];
        const { eps, x0 } = yield* predict(x, at);
        const kept = (at.signal * at.left / (at.next * at.noise)) ** 2;
        const direction = at.left * Math.sqrt(1 - eta ** 2 + eta ** 2 * kept);
        const sigma = eta * Math.sqrt(at.tilde);
        const z = eta > 0 ? noise(x.length) : null;
        x = x0.map((v, i) => at.next * v + direction * eps[i] + (z ? sigma * z[i] : 0));
        yield { t: at.t, x, x0 };
      }
    },

    // ### PNDM, begun by one step of second order
    *pndm(process, x, noise, how) {
      const { short, predict, consistent } = prepared(process, how);
      /** @param {number} k */
      const leaps = (k) => k > 0 && short[k].next > LEAP * short[k].signal;
      let begin = short.length - 1;
      while (begin >= 1 && leaps(begin)) begin--;
      /** @type {Float32Array[]} */
      let known = [];
      for (let k = short.length - 1; k >= 0; k--) {
        const at = short[k], from = x;
        const { eps: first } = yield* predict(x, at);
        known = [first, ...known.slice(0, 3)];
        let mixed;
        if (k === begin && k >= 1) {
          const there = x.map((v, i) =>
            at.next * (v - at.noise * first[i]) / at.signal + at.left * first[i]);
          const { eps: second } = yield* predict(there, short[k - 1]);
          mixed = first.map((e, i) => (e + second[i]) / 2);
        } else {
          const weights = WEIGHTS[known.length - 1];
          mixed = first.map((_, i) => known.reduce((sum, e, j) => sum + weights[j] * e[i], 0));
        }
        const { eps, x0 } = consistent(from, mixed, at);
        x = x0.map((v, i) => at.next * v + at.left * eps[i]);
        if (leaps(k)) known = [];
        yield { t: at.t, x, x0 };
      }
    },

    // ### DPM-Solver++ of second order
    *dpm(process, x, noise, how) {
      const { short, predict } = prepared(process, how);
      /** @type {{h: number, x0: Float32Array} | null} */
      let before = null;
      for (let k = short.length - 1; k >= 0; k--) {
        const at = short[k];
        const { x0 } = yield* predict(x, at);
        // $e^{-h}$, which is 0 at the last step
        const exp = at.signal / at.noise * at.left / at.next;
        const h = exp > 0 ? -Math.log(exp) : Infinity;
        let D = x0;
        if (before && h < Infinity) {
          const { h: last, x0: old } = before;
          D = x0.map((v, i) => v + h / (2 * last) * (v - old[i]));
        }
        x = Float32Array.from(x, (v, i) => at.left / at.noise * v + at.next * (1 - exp) * D[i]);
        before = { h, x0 };
        yield { t: at.t, x, x0 };
      }
    },
  };

  // Weights of the slopes known, by their number, and how much the signal may grow in a step
  const WEIGHTS = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12],
    [55 / 24, -59 / 24, 37 / 24, -9 / 24]];
  const LEAP = 20;

  // ## Guidance
  /**
   * A network that is told a class and pushed towards it by `scale`, as `Guided` does.
   * @param {DDPM.Network} network @param {number} label @param {number} scale
   * @param {number} n numbers of an image: what is beyond says the variance
   * @returns {DDPM.Model}
   */
  const guided = (network, label, scale, n) => function* (x, t) {
    const eps = yield* network(x, t, label);
    if (scale === 0) return eps;
    const without = yield* network(x, t, -1);
    return eps.map((e, i) => i < n ? (1 + scale) * e - scale * without[i] : e);
  };

  // ## To run a chain while the page lives
  /** @returns {Promise<void>} after whatever waits to be done */
  const rest = () => new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); done(); };
    port2.postMessage(0);
  });

  /**
   * Do work that rests, `SLICE` milliseconds at a time. Returns what it returns, or else its last
   * step; null where `signal` has stopped it.
   * @param {Generator<any, any, any>} work
   * @param {(step: any) => void} [told] is given each step
   * @param {{aborted: boolean}} [signal]
   * @returns {Promise<any>}
   */
  const run = async (work, told = () => {}, signal = { aborted: false }) => {
    let last = null, began = performance.now();
    for (;;) {
      const { value, done } = work.next();
      if (done) return value ?? last;
      if (value !== null) told((last = value));
      if (performance.now() - began > SLICE) {
        await rest();
        began = performance.now();
      }
      if (signal.aborted) return null;
    }
  };
  const SLICE = 12;

  /** @param {number} v as a byte, rounded as torch rounds: halves to even */
  const toByte = (v) => {
    const scaled = Math.fround(Math.fround(v + 1) * 127.5);
    const whole = Math.round(scaled);
    const even = whole - scaled === 0.5 && whole % 2 ? whole - 1 : whole;
    return Math.min(255, Math.max(0, even));
  };

  Object.assign(ddpm, { betas, alphaBar, qSample, spaced, SAMPLERS, guided, run, rest, toByte });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
