// A mixture of round Gaussians in the plane, whose noise is known exactly, for the figures that have
// points in the place of pictures.
((ddpm) => {
  'use strict';
  const T = 1000;
  const beta = ddpm.betas.linear(T), bar = ddpm.alphaBar(beta);

  /**
   * $\epsilon(x_t, t)$ of the mixture, for a row of points: the mean over its parts of
   * $\sqrt{1-\bar\alpha_t}\,(x_t - \sqrt{\bar\alpha_t}\,\mu_k) / v_t$, each with its share of the
   * density, where $v_t = \bar\alpha_t s^2 + 1 - \bar\alpha_t$.
   * @param {[number, number][]} centres @param {number} spread
   * @param {ArrayLike<number>} x @param {number} t
   */
  const epsOf = (centres, spread, x, t) => {
    const a = Math.sqrt(bar[t]), n2 = 1 - bar[t], v = bar[t] * spread ** 2 + n2;
    const out = new Float32Array(x.length);
    for (let i = 0; i < x.length; i += 2) {
      const squares = centres.map(([p, q]) => (x[i] - a * p) ** 2 + (x[i + 1] - a * q) ** 2);
      const least = Math.min(...squares);
      const shares = squares.map((s) => Math.exp((least - s) / (2 * v)));
      const sum = shares.reduce((one, other) => one + other, 0);
      centres.forEach(([p, q], k) => {
        out[i] += shares[k] / sum * (x[i] - a * p);
        out[i + 1] += shares[k] / sum * (x[i + 1] - a * q);
      });
      out[i] *= Math.sqrt(n2) / v;
      out[i + 1] *= Math.sqrt(n2) / v;
    }
    return out;
  };

  // ## Where a point is drawn: the square from -3 to 3
  /** @param {number} v */
  const at = (v) => (100 * v).toFixed(1);

  Object.assign(ddpm, { mixture: { T, beta, bar, epsOf, at } });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
