// # The U-Net in the browser: the forward pass, and nothing else
//
// The network of [unet.py](../unet.py), for one image at a time. An image is a `Float32Array` of
// channels, rows and columns, as torch lays it out. Sums are made in float64.
//
// What takes long is a generator that yields where the work may rest, each two million
// multiplications or so, for the page must answer in between.
//
// Who wants to see what is made on the way passes a function `seen`. It is given the output of each
// module by the name that the module has in PyTorch, `down.0.blocks.0` or `middle.blocks.0.attention`.
((ddpm) => {
  'use strict';
  const REST = 2e6;
  // So many numbers of the columns of a convolution are made at a time: they stay in the cache
  const COLUMNS = 1 << 16;

  /** @typedef {DDPM.Maps} Maps */
  /** @typedef {Record<string, {shape: number[], data: Float32Array}>} Tensors */

  // ## All products of rows
  /**
   * $C = A B^\top$ for rows `from .. to - 1` of $A$. Four rows by four rows at a time, so that each
   * number that is read is used four times.
   * @param {Float32Array} A `[M, K]` @param {Float32Array} B `[N, K]`
   * @param {Float32Array} C `[M, stride]`, from column `at` on
   * @param {number} from @param {number} to @param {number} N @param {number} K
   * @param {number} stride @param {number} at
   */
  const products = (A, B, C, from, to, N, K, stride, at) => {
    let i = from;
    for (; i + 4 <= to; i += 4) {
      const a0 = i * K, a1 = a0 + K, a2 = a1 + K, a3 = a2 + K;
      const c0 = i * stride + at, c1 = c0 + stride, c2 = c1 + stride, c3 = c2 + stride;
      let j = 0;
      for (; j + 4 <= N; j += 4) {
        const b0 = j * K, b1 = b0 + K, b2 = b1 + K, b3 = b2 + K;
        let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
        let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
        for (let k = 0; k < K; k++) {
          const w0 = A[a0 + k], w1 = A[a1 + k], w2 = A[a2 + k], w3 = A[a3 + k];
          const x0 = B[b0 + k], x1 = B[b1 + k], x2 = B[b2 + k], x3 = B[b3 + k];
          s00 += w0 * x0; s01 += w0 * x1; s02 += w0 * x2; s03 += w0 * x3;
          s10 += w1 * x0; s11 += w1 * x1; s12 += w1 * x2; s13 += w1 * x3;
          s20 += w2 * x0; s21 += w2 * x1; s22 += w2 * x2; s23 += w2 * x3;
          s30 += w3 * x0; s31 += w3 * x1; s32 += w3 * x2; s33 += w3 * x3;
        }
        C[c0 + j] = s00; C[c0 + j + 1] = s01; C[c0 + j + 2] = s02; C[c0 + j + 3] = s03;
        C[c1 + j] = s10; C[c1 + j + 1] = s11; C[c1 + j + 2] = s12; C[c1 + j + 3] = s13;
        C[c2 + j] = s20; C[c2 + j + 1] = s21; C[c2 + j + 2] = s22; C[c2 + j + 3] = s23;
        C[c3 + j] = s30; C[c3 + j + 1] = s31; C[c3 + j + 2] = s32; C[c3 + j + 3] = s33;
      }
      if (j < N) few(A, B, C, i, i + 4, j, N, K, stride, at);
    }
    if (i < to) few(A, B, C, i, to, 0, N, K, stride, at);
  };

  /**
   * What is left at the edges: fewer than four.
   * @param {Float32Array} A @param {Float32Array} B @param {Float32Array} C @param {number} from
   * @param {number} to @param {number} first @param {number} N @param {number} K
   * @param {number} stride @param {number} at
   */
  const few = (A, B, C, from, to, first, N, K, stride, at) => {
    for (let i = from; i < to; i++) {
      for (let j = first; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += A[i * K + k] * B[j * K + k];
        C[i * stride + at + j] = sum;
      }
    }
  };

  /**
   * The same with rests.
   * @param {Float32Array} A @param {Float32Array} B @param {Float32Array} C
   * @param {number} M @param {number} N @param {number} K @param {number} [stride]
   * @param {number} [at]
   */
  function* multiply(A, B, C, M, N, K, stride = N, at = 0) {
    const rows = Math.max(4, Math.floor(REST / (N * K) / 4) * 4);
    for (let i = 0; i < M; i += rows) {
      products(A, B, C, i, Math.min(M, i + rows), N, K, stride, at);
      yield null;
    }
  }

  // ## Kernels of 3×3 with fewer multiplications
  //
  // Two pixels side by side see four numbers $d$ of a row. With the three numbers $g$ of a kernel they
  // take six multiplications, or four by Winograd's way [@lavin2016, section 4]:
  // $$\begin{aligned} y &= A^\top \big[ (G g) \odot (B^\top d) \big], \\[1ex]
  // G &= \tfrac12 \begin{bmatrix} 2 & 0 & 0 \\ 1 & 1 & 1 \\ 1 & -1 & 1 \\ 0 & 0 & 2 \end{bmatrix}, \\[1ex]
  // B^\top &= \begin{bmatrix} 1 & 0 & -1 & 0 \\ 0 & 1 & 1 & 0 \\ 0 & -1 & 1 & 0 \\ 0 & 1 & 0 & -1 \end{bmatrix}, \\[1ex]
  // A^\top &= \begin{bmatrix} 1 & 1 & 1 & 0 \\ 0 & 1 & -1 & -1 \end{bmatrix} \end{aligned}$$
  // What comes out is the convolution
  // [tested](test:diffusion/ddpm/test_web.py::test_tiles_make_the_convolution). Along both directions,
  // a *tile* of 2×2 pixels takes 16 multiplications in the place of 36. Each of the 16 is summed over
  // the channels, for all tiles at once: that is a product of matrices.
  /**
   * @param {Float32Array} g kernels of 3×3 @param {number} n how many
   * @returns {Float32Array} $U = G g G^\top$, `[16, n]`
   */
  const kernelsOf = (g, n) => {
    const U = new Float32Array(16 * n), s = new Float64Array(12);
    for (let k = 0; k < n; k++) {
      for (let i = 0; i < 3; i++) {
        const a = g[9 * k + i], b = g[9 * k + 3 + i], c = g[9 * k + 6 + i];
        s[i] = a; s[3 + i] = (a + b + c) / 2; s[6 + i] = (a - b + c) / 2; s[9 + i] = c;
      }
      for (let i = 0; i < 4; i++) {
        const a = s[3 * i], b = s[3 * i + 1], c = s[3 * i + 2], at = 4 * i * n + k;
        U[at] = a; U[at + n] = (a + b + c) / 2; U[at + 2 * n] = (a - b + c) / 2; U[at + 3 * n] = c;
      }
    }
    return U;
  };

  /**
   * $V = B^\top d B$, `[16, m, channels]`, of the tiles from `first` on.
   * @param {Float32Array} padded @param {Float32Array} V @param {number} first @param {number} m
   * @param {number} channels @param {number} across tiles in a row
   */
  const tilesOf = (padded, V, first, m, channels, across) => {
    const w = 2 * across + 2, all = padded.length / channels, n = m * channels;
    const s = new Float64Array(16);
    for (let tile = 0; tile < m; tile++) {
      const row = Math.floor((first + tile) / across), column = first + tile - row * across;
      for (let c = 0; c < channels; c++) {
        const corner = c * all + 2 * row * w + 2 * column;
        for (let i = 0; i < 4; i++) {
          const at = corner + i, d0 = padded[at], d1 = padded[at + w];
          const d2 = padded[at + 2 * w], d3 = padded[at + 3 * w];
          s[i] = d0 - d2; s[4 + i] = d1 + d2; s[8 + i] = d2 - d1; s[12 + i] = d1 - d3;
        }
        for (let i = 0, at = tile * channels + c; i < 16; i += 4, at += 4 * n) {
          const d0 = s[i], d1 = s[i + 1], d2 = s[i + 2], d3 = s[i + 3];
          V[at] = d0 - d2; V[at + n] = d1 + d2; V[at + 2 * n] = d2 - d1; V[at + 3 * n] = d1 - d3;
        }
      }
    }
  };

  /**
   * $A^\top M A$: the pixels of the tiles from `first` on, of $M$ `[16, channels, m]`.
   * @param {Float32Array} M @param {Maps} out @param {number} first @param {number} m
   * @param {number} across tiles in a row
   */
  const pixelsOf = (M, { data, channels, height, width }, first, m, across) => {
    const n = m * channels, s = new Float64Array(8);
    for (let c = 0; c < channels; c++) {
      for (let tile = 0; tile < m; tile++) {
        for (let i = 0, at = c * m + tile; i < 4; i++, at += n) {
          const a = M[at], b = M[at + 4 * n], e = M[at + 8 * n], f = M[at + 12 * n];
          s[i] = a + b + e; s[4 + i] = b - e - f;
        }
        const row = Math.floor((first + tile) / across), column = first + tile - row * across;
        // The last tile of an odd number of rows or columns sticks out
        const down = Math.min(2, height - 2 * row), right = Math.min(2, width - 2 * column);
        for (let i = 0, at = (c * height + 2 * row) * width + 2 * column; i < down; i++, at += width) {
          data[at] = s[4 * i] + s[4 * i + 1] + s[4 * i + 2];
          if (right > 1) data[at + 1] = s[4 * i + 1] - s[4 * i + 2] - s[4 * i + 3];
        }
      }
    }
  };

  // ## Layers
  /** @param {number} x */
  const silu = (x) => x / (1 + Math.exp(-x));

  /**
   * @param {number} channels @param {number} height @param {number} width @returns {Maps}
   */
  const maps = (channels, height, width) => (
    { data: new Float32Array(channels * height * width), channels, height, width });

  /** @param {Tensors} tensors */
  const layers = (tensors) => {
    /** @param {string} name */
    const get = (name) => {
      const found = tensors[name];
      if (!found) throw new Error(`the model has no weights ${name}`);
      return found;
    };

    /** @param {string} name @param {Float32Array} x */
    const linear = (name, x) => {
      const { shape: [n, m], data } = get(`${name}.weight`);
      const out = Float32Array.from(get(`${name}.bias`).data);
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let k = 0; k < m; k++) sum += data[i * m + k] * x[k];
        out[i] += sum;
      }
      return out;
    };

    /** @param {string} name @param {Maps} x @param {number} groups @param {boolean} active */
    function* norm(name, x, groups, active) {
      const weight = get(`${name}.weight`).data, bias = get(`${name}.bias`).data;
      const { data, channels, height, width } = x;
      const out = maps(channels, height, width);
      const pixels = height * width, size = channels / groups * pixels;
      for (let first = 0; first < data.length; first += size) {
        let sum = 0, squares = 0;
        for (let i = first; i < first + size; i++) sum += data[i];
        const mean = sum / size;
        for (let i = first; i < first + size; i++) squares += (data[i] - mean) ** 2;
        const scale = 1 / Math.sqrt(squares / size + 1e-6);
        for (let i = first, c = first / pixels; i < first + size; c++) {
          const by = scale * weight[c], plus = bias[c] - mean * by;
          for (const end = i + pixels; i < end; i++) {
            const y = data[i] * by + plus;
            out.data[i] = active ? silu(y) : y;
          }
        }
        if (size > 1e4) yield null;
      }
      return out;
    }

    /** @type {Map<string, Float32Array>} */
    const kernels = new Map();

    /** @param {string} name @param {number} n of all channels @returns {Float32Array} */
    const transformed = (name, n) => {
      const known = kernels.get(name) ?? kernelsOf(get(`${name}.weight`).data, n);
      kernels.set(name, known);
      return known;
    };

    /**
     * A convolution of kernels 3×3, tile by tile.
     * @param {string} name @param {Maps} x
     */
    function* tiled(name, x) {
      const [channels, inside] = get(`${name}.weight`).shape, n = channels * inside;
      const U = transformed(name, n), out = maps(channels, x.height, x.width);
      const across = Math.ceil(x.width / 2), tiles = Math.ceil(x.height / 2) * across;
      const w = 2 * across + 2, padded = pad(x, tiles / across * 2 + 2, w, 1);
      const block = Math.min(tiles, Math.max(4, Math.floor(COLUMNS / 16 / inside / 4) * 4));
      const V = new Float32Array(16 * block * inside), M = new Float32Array(16 * block * channels);
      let work = 0;
      for (let first = 0; first < tiles; first += block) {
        const m = Math.min(block, tiles - first);
        tilesOf(padded, V, first, m, inside, across);
        for (let i = 0; i < 16; i++) {
          products(U.subarray(i * n, (i + 1) * n), V.subarray(i * m * inside), M.subarray(i * m * channels),
            0, channels, m, inside, m, 0);
          work += m * n;
          if (work < REST) continue;
          work = 0;
          yield null;
        }
        pixelsOf(M, out, first, m, across);
      }
      shift(out, get(`${name}.bias`).data);
      return out;
    }

    /**
     * A convolution of kernels 1×1 or 3×3. For each pixel that is made, what its kernel sees is
     * laid out as a row; then it is a product of matrices. With many channels tiles are faster.
     * @param {string} name @param {Maps} x @param {number} [stride] 2 halves the image: it is
     *   padded on the right and at the bottom only
     */
    function* conv(name, x, stride = 1) {
      const { shape, data: weight } = get(`${name}.weight`);
      const bias = get(`${name}.bias`).data;
      const [channels, inside, side = 1] = shape;
      const K = inside * side * side;
      const many = Math.min(channels, inside, x.height * x.width / 4) >= 4;
      if (side === 3 && stride === 1 && many) return yield* tiled(name, x);
      const before = side === 3 && stride === 1 ? 1 : 0;
      const h = x.height + (side === 3 ? 1 + before : 0), w = x.width + (h - x.height);
      const padded = before || h > x.height ? pad(x, h, w, before) : x.data;
      const out = maps(channels, x.height / stride, x.width / stride);
      const pixels = out.height * out.width;
      const block = Math.min(pixels, Math.max(4, Math.floor(COLUMNS / K / 4) * 4));
      const columns = new Float32Array(block * K);
      for (let p = 0; p < pixels; p += block) {
        const n = Math.min(block, pixels - p);
        let k = 0;
        for (let i = p; i < p + n; i++) {
          const y = Math.floor(i / out.width), first = y * stride * w + (i - y * out.width) * stride;
          for (let at = first; at < first + inside * h * w; at += h * w) {
            for (let row = at; row < at + side * w; row += w) {
              for (let column = row; column < row + side; column++) columns[k++] = padded[column];
            }
          }
        }
        yield* multiply(weight, columns, out.data, channels, n, K, pixels, p);
      }
      shift(out, bias);
      return out;
    }

    /** @param {string} name @param {Maps} x @param {Float32Array} t @param {number} groups */
    function* residual(name, x, t, groups) {
      const h = yield* conv(`${name}.conv1`, yield* norm(`${name}.norm1`, x, groups, true));
      shift(h, linear(`${name}.time`, t));
      const out = yield* conv(`${name}.conv2`, yield* norm(`${name}.norm2`, h, groups, true));
      const fits = `${name}.shortcut.weight` in tensors;
      add(out, fits ? yield* conv(`${name}.shortcut`, x) : x);
      return out;
    }

    /** @param {string} name @param {Maps} x @param {number} groups */
    function* attention(name, x, groups) {
      const n = x.height * x.width, d = x.channels;
      const h = transposed(yield* norm(`${name}.norm`, x, groups, false));
      const [q, k, v] = [1, 2, 3].map(() => new Float32Array(n * d));
      for (const [part, into] of /** @type {const} */ ([['query', q], ['key', k]])) {
        yield* multiply(h, get(`${name}.${part}.weight`).data, into, n, d, d);
        const bias = get(`${name}.${part}.bias`).data;
        for (let p = 0; p < n; p++) for (let c = 0; c < d; c++) into[p * d + c] += bias[c];
      }
      // The values stand the other way round, for the second product
      yield* multiply(get(`${name}.value.weight`).data, h, v, d, n, d);
      shift({ ...x, data: v }, get(`${name}.value.bias`).data);
      const seen = new Float32Array(n * d);
      const block = Math.min(n, Math.max(4, Math.floor(REST / n / d / 4) * 4));
      const scores = new Float32Array(block * n);
      for (let first = 0; first < n; first += block) {
        const m = Math.min(block, n - first);
        yield* multiply(q.subarray(first * d, (first + m) * d), k, scores, m, n, d);
        for (let i = 0; i < m; i++) softmax(scores.subarray(i * n, (i + 1) * n), Math.sqrt(d));
        yield* multiply(scores, v, seen.subarray(first * d), m, d, n);
      }
      const out = maps(d, x.height, x.width);
      yield* multiply(get(`${name}.out.weight`).data, seen, out.data, d, n, d);
      shift(out, get(`${name}.out.bias`).data);
      add(out, x);
      return out;
    }

    return { get, linear, norm, conv, residual, attention };
  };

  /** @param {Float32Array} row @param {number} divisor */
  const softmax = (row, divisor) => {
    let most = -Infinity, sum = 0;
    for (let j = 0; j < row.length; j++) most = Math.max(most, row[j]);
    for (let j = 0; j < row.length; j++) sum += row[j] = Math.exp((row[j] - most) / divisor);
    for (let j = 0; j < row.length; j++) row[j] /= sum;
  };

  /** @param {Maps} x @param {Float32Array} by a number for each channel */
  const shift = ({ data, channels, height, width }, by) => {
    for (let c = 0, i = 0; c < channels; c++) {
      for (const end = i + height * width; i < end; i++) data[i] += by[c];
    }
  };

  /** @param {Maps} x @param {Maps} y */
  const add = (x, y) => {
    for (let i = 0; i < x.data.length; i++) x.data[i] += y.data[i];
  };

  /** @param {Maps} x @param {number} h @param {number} w @param {number} before */
  const pad = (x, h, w, before) => {
    const out = new Float32Array(x.channels * h * w);
    for (let c = 0; c < x.channels; c++) {
      for (let y = 0; y < x.height; y++) {
        const row = (c * x.height + y) * x.width;
        out.set(x.data.subarray(row, row + x.width), (c * h + y + before) * w + before);
      }
    }
    return out;
  };

  /** @param {Maps} x `[channels, pixels]` to `[pixels, channels]` */
  const transposed = ({ data, channels, height, width }) => {
    const out = new Float32Array(data.length), n = height * width;
    for (let c = 0; c < channels; c++) for (let p = 0; p < n; p++) out[p * channels + c] = data[c * n + p];
    return out;
  };

  /** @param {Maps} x each pixel four times */
  const doubled = (x) => {
    const out = maps(x.channels, 2 * x.height, 2 * x.width), w = out.width;
    for (let row = 0; row < x.channels * x.height; row++) {
      const at = 2 * row * w;
      for (let i = 0; i < w; i++) out.data[at + i] = x.data[row * x.width + (i >> 1)];
      out.data.copyWithin(at + w, at, at + w);
    }
    return out;
  };

  /** @param {Maps} x @param {Maps} y one above the other */
  const joined = (x, y) => {
    const out = maps(x.channels + y.channels, x.height, x.width);
    out.data.set(x.data);
    out.data.set(y.data, x.data.length);
    return out;
  };

  // ## The network
  /**
   * @param {DDPM.Config} config @param {Tensors} tensors
   * @returns {DDPM.Network} $\epsilon_\theta(x_t, t)$ of one image; class -1 is none. What `seen` is
   *   given is not written to afterwards
   */
  const unet = (config, tensors) => {
    const { get, linear, norm, conv, residual, attention } = layers(tensors);
    const { n_channels, ch_mults, is_attn, n_blocks, n_groups } = config;

    /** @param {number} t @param {number} label */
    const embedded = (t, label) => {
      const half = n_channels / 2, angles = new Float32Array(n_channels);
      for (let i = 0; i < half; i++) {
        const frequency = Math.fround(Math.exp(-Math.log(10000) * i / Math.max(half - 1, 1)));
        const angle = Math.fround(t * frequency);
        angles[i] = Math.sin(angle);
        angles[half + i] = Math.cos(angle);
      }
      const out = linear('time.linear2', linear('time.linear1', angles).map(silu));
      if (label >= 0) {
        const of = get('time.label.weight').data.subarray(label * out.length);
        for (let i = 0; i < out.length; i++) out[i] += of[i];
      }
      // Each block takes it through the same activation
      return out.map(silu);
    };

    /**
     * @param {string} name @param {Maps} x @param {Float32Array} t @param {boolean} has_attn
     * @param {DDPM.Seen} seen
     */
    function* block(name, x, t, has_attn, seen) {
      let h = yield* residual(`${name}.residual`, x, t, n_groups);
      seen(`${name}.residual`, h);
      if (has_attn) {
        h = yield* attention(`${name}.attention`, h, n_groups);
        seen(`${name}.attention`, h);
      }
      seen(name, h);
      return h;
    }

    /** @param {string} name @param {Maps} x @param {DDPM.Seen} seen @param {number} [stride] */
    function* seenConv(name, x, seen, stride) {
      const h = yield* conv(name, x, stride);
      seen(name, h);
      return h;
    }

    return function* (x, t, label = -1, seen = () => {}) {
      const size = config.image_size, last = ch_mults.length - 1;
      const time = embedded(t, label);
      /** @type {Maps} */
      const image = { data: x, channels: config.image_channels, height: size, width: size };
      let h = yield* seenConv('stem', image, seen);
      const skips = [h];
      for (let level = 0; level <= last; level++) {
        for (let i = 0; i < n_blocks; i++) {
          h = yield* block(`down.${level}.blocks.${i}`, h, time, is_attn[level], seen);
          skips.push(h);
        }
        if (level < last) {
          h = yield* seenConv(`down.${level}.resample`, h, seen, 2);
          skips.push(h);
        }
      }
      for (let i = 0; i < 2; i++) {
        h = yield* block(`middle.blocks.${i}`, h, time, i === 0, seen);
      }
      for (let level = last; level >= 0; level--) {
        const name = `up.${last - level}`;
        for (let i = 0; i <= n_blocks; i++) {
          const skip = /** @type {Maps} */ (skips.pop());
          h = yield* block(`${name}.blocks.${i}`, joined(h, skip), time, is_attn[level], seen);
        }
        if (level) h = yield* seenConv(`${name}.resample`, doubled(h), seen);
      }
      return (yield* seenConv('head', yield* norm('norm', h, n_groups, true), seen)).data;
    };
  };

  // ## Weights
  //
  // As [web.py](../web.py) writes them: base64 of one tensor after the other, in the order of
  // `tensors`, low byte first. A tensor of one dimension is float32. Others are float32, float16,
  // or int8: then a float32 for each output channel stands before them, by which it is multiplied.
  const PIECE = 1 << 17;

  /** @param {string} text base64 */
  function* decoded(text) {
    const parts = [];
    for (let at = 0; at < text.length; at += PIECE) {
      const piece = atob(text.slice(at, at + PIECE)), bytes = new Uint8Array(piece.length);
      for (let i = 0; i < bytes.length; i++) bytes[i] = piece.charCodeAt(i);
      parts.push(bytes);
      yield null;
    }
    const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** @param {DDPM.Packed} packed @returns {DDPM.Rest<Tensors>} */
  function* unpack({ precision, tensors, data }) {
    const bytes = yield* decoded(data);
    let at = 0;
    /** @param {number} n */
    const take = (n) => bytes.slice(at, at += n).buffer;
    /** @type {Tensors} */
    const found = {};
    for (const [name, shape] of tensors) {
      const n = shape.reduce((a, b) => a * b, 1);
      let values = new Float32Array(n);
      if (shape.length === 1 || precision === 'float32') values = new Float32Array(take(4 * n));
      else if (precision === 'float16') {
        const halves = new Uint16Array(take(2 * n));
        for (let i = 0; i < n; i++) values[i] = float16(halves[i]);
      } else {
        const scale = new Float32Array(take(4 * shape[0])), row = n / shape[0];
        const q = new Int8Array(take(n));
        for (let i = 0; i < n; i++) values[i] = q[i] * scale[(i / row) | 0];
      }
      found[name] = { shape, data: values };
      yield null;
    }
    return found;
  }

  /** @param {number} bits */
  const float16 = (bits) => {
    const sign = bits & 0x8000 ? -1 : 1, e = (bits >> 10) & 31, m = bits & 1023;
    if (e === 31) return m ? NaN : sign * Infinity;
    return sign * (e ? 2 ** (e - 15) * (1 + m / 1024) : 2 ** -24 * m);
  };

  /** @param {DDPM.Packed} packed @returns {DDPM.Rest<DDPM.Network>} */
  function* networkOf(packed) {
    return unet(packed.config, yield* unpack(packed));
  }

  Object.assign(ddpm, { layers, unet, unpack, networkOf });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
