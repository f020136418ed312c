// # Noise: torch's generator for the CPU, to the last bit
//
// `torch.randn(shape, generator=torch.Generator().manual_seed(s))` on a CPU with AVX2, in float32.
// So a seed in the browser means the picture that it means on the command line.
((ddpm) => {
  'use strict';
  const f32 = Math.fround;

  // ## MT19937
  //
  // 32 random bits a call; its state is seeded with Knuth's linear congruences.
  class MersenneTwister {
    /** @param {number} seed 32 bits */
    constructor(seed) {
      this.state = new Uint32Array(624);
      this.at = 624;
      this.state[0] = seed;
      for (let i = 1; i < 624; i++) {
        const before = this.state[i - 1];
        this.state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
      }
    }

    /** @returns {number} $0 \dots 2^{32} - 1$ */
    next() {
      if (this.at === 624) this.twist();
      let y = this.state[this.at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    }

    twist() {
      const state = this.state;
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.at = 0;
    }
  }

  // ## Arithmetic of float32
  const double = new Float64Array(1);
  const halves = new Uint32Array(double.buffer);
  const single = new Float32Array(1);
  const bits = new Int32Array(single.buffer);
  // Which of the two is the lower half depends on the machine
  double[0] = 1;
  const LOW = halves[0] === 0 ? 0 : 1;

  /**
   * $ab + c$ rounded once, as the processor's fused instruction does. The product of two float32
   * is exact in float64. Their sum with $c$ is rounded to float64 first: if that falls on the
   * middle between two float32, what was rounded away decides.
   * @param {number} a @param {number} b @param {number} c
   */
  const fma = (a, b, c) => {
    const product = a * b;
    const sum = product + c;
    double[0] = sum;
    if ((halves[LOW] & 0x1fffffff) === 0x10000000) {
      const part = sum - product;
      const lost = product - (sum - part) + (c - part);
      if (lost !== 0) return f32(sum + (lost > 0 ? 1 : -1) * Math.abs(sum) * 2 ** -40);
    }
    return f32(sum);
  };

  /** @param {number[]} values */
  const constants = (values) => Float32Array.from(values);

  // ## Logarithm, sine and cosine
  //
  // The polynomials of the Cephes library, evaluated by Horner's rule with fused steps, as torch's
  // vectorised kernel does. `Math.log` would be nearer to the truth, and another number.
  const LOG = constants([
    7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
  ]);
  const [ROOT_HALF, LN2_LOW, LN2_HIGH] = constants([Math.SQRT1_2, -2.1219444e-4, 0.693359375]);

  /** @param {number} x a positive float32 */
  const log = (x) => {
    // $x = m\,2^e$ with $m$ from $\sqrt{1/2}$ to $\sqrt 2$
    single[0] = x;
    let e = (bits[0] >> 23) - 126;
    bits[0] = (bits[0] & 0x7fffff) | 0x3f000000;
    let m = single[0];
    if (m < ROOT_HALF) {
      e -= 1;
      m = f32(f32(m - 1) + m);
    } else m = f32(m - 1);
    const z = f32(m * m);
    let y = LOG[0];
    for (let i = 1; i < LOG.length; i++) y = fma(y, m, LOG[i]);
    y = fma(f32(y * m), z, f32(e * LN2_LOW));
    y = fma(-z, 0.5, y);
    return fma(e, LN2_HIGH, f32(m + y));
  };

  const QUARTERS = f32(4 / Math.PI);
  // $\pi/4$ in three pieces, of which the first two have few digits
  const PIECES = constants([-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8]);
  const COS = constants([2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]);
  const SIN = constants([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]);

  /** @param {number} x float32, from 0 to $2\pi$ @returns {[number, number]} sine and cosine */
  const sincos = (x) => {
    const octant = (Math.trunc(f32(x * QUARTERS)) + 1) & ~1;
    for (const piece of PIECES) x = fma(octant, piece, x);
    const z = f32(x * x);
    let c = fma(fma(COS[0], z, COS[1]), z, COS[2]);
    c = f32(fma(f32(c * z), z, -f32(z * 0.5)) + 1);
    let s = fma(fma(SIN[0], z, SIN[1]), z, SIN[2]);
    s = fma(f32(s * z), x, x);
    if (octant & 2) [s, c] = [c, s];
    return [octant & 4 ? -s : s, (octant - 2) & 4 ? c : -c];
  };

  // ## Normal numbers: Box and Muller
  //
  // Two uniform numbers make two normal ones, $\sqrt{-2\ln u_1}\,\cos 2\pi u_2$ and
  // $\sqrt{-2\ln u_1}\,\sin 2\pi u_2$.
  const TWO_PI = f32(2 * Math.PI);

  /**
   * Sixteen at a time, from eight pairs that stand eight apart.
   * @param {Float32Array} data @param {number} at
   */
  const sixteen = (data, at) => {
    for (let j = at; j < at + 8; j++) {
      const radius = f32(Math.sqrt(f32(-2 * log(f32(1 - data[j])))));
      const [s, c] = sincos(f32(TWO_PI * data[j + 8]));
      data[j] = radius * c;
      data[j + 8] = radius * s;
    }
  };

  /**
   * `torch.randn(n, generator=…)`
   * @param {MersenneTwister} generator @param {number} n @returns {Float32Array}
   */
  const randn = (generator, n) => {
    const data = new Float32Array(n);
    if (n < 16) return few(generator, data);
    const uniform = () => (generator.next() & 0xffffff) / 2 ** 24;
    for (let i = 0; i < n; i++) data[i] = uniform();
    for (let i = 0; i + 16 <= n; i += 16) sixteen(data, i);
    if (n % 16) {
      // The last block is whole too: it takes back some that were done, and draws again
      for (let i = n - 16; i < n; i++) data[i] = uniform();
      sixteen(data, n - 16);
    }
    return data;
  };

  /**
   * Fewer than 16 are made one by one, in float64, and the second of each pair is kept for later.
   * @param {MersenneTwister & {kept?: number}} generator @param {Float32Array} data
   */
  const few = (generator, data) => {
    const uniform = () => {
      const high = generator.next() & 0x1fffff;
      return (high * 2 ** 32 + generator.next()) / 2 ** 53;
    };
    for (let i = 0; i < data.length; i++) {
      if (generator.kept !== undefined) {
        data[i] = generator.kept;
        generator.kept = undefined;
        continue;
      }
      const angle = 2 * Math.PI * uniform();
      const radius = Math.sqrt(-2 * Math.log1p(-uniform()));
      generator.kept = radius * Math.sin(angle);
      data[i] = radius * Math.cos(angle);
    }
    return data;
  };

  /**
   * The 32-bit seed of image $i$ of a set: `image_seed` of `utils.py`.
   * @param {number | bigint} seed @param {number} i
   */
  const imageSeed = (seed, i) =>
    Number(BigInt.asUintN(32, BigInt(seed) * 0x9e3779b1n + BigInt(i)));

  /**
   * Noise of image $i$ of the set `seed`: each call draws the next.
   * @param {number | bigint} seed @param {number} [i]
   * @returns {(n: number) => Float32Array}
   */
  const seededNoise = (seed, i = 0) => {
    const generator = new MersenneTwister(imageSeed(seed, i));
    return (n) => randn(generator, n);
  };

  Object.assign(ddpm, { MersenneTwister, randn, imageSeed, seededNoise });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
