// @needs ../../labml_nn/diffusion/ddpm/engine/noise.js
// @needs ../../labml_nn/diffusion/ddpm/engine/unet.js
// @needs ../../labml_nn/diffusion/ddpm/engine/samplers.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.js
// @needs ../../labml_nn/diffusion/ddpm/engine/figure.css
// @needs real.js
// @needs lines.js
// @needs svg.js
// @later digits.weights.js
//
// What each block of the U-Net makes of a noisy digit, and the code of the page that makes it.
(() => {
  'use strict';
  const { ddpm } = globalThis;
  const { linesOf, shownLine, said } = ddpm.lines, { draw } = ddpm.svg;

  /**
   * @typedef {{name: string, kind: 'conv' | 'block' | 'attention' | 'halve' | 'double',
   *   level: number, column: number, from: string[]}} Box
   */

  // ## The form of the network
  /**
   * All that has weights, in the order in which it runs, by its name in PyTorch: on which level it
   * stands, in which column of the drawing, and whose output it takes.
   * @param {DDPM.Config} config @returns {Box[]}
   */
  const boxesOf = ({ ch_mults, is_attn, n_blocks }) => {
    const last = ch_mults.length - 1;
    /** @type {Box[]} */
    const boxes = [];
    /** @type {string[]} */
    const skips = [];
    let column = 0, before = 'x';
    /** @param {string} name @param {Box['kind']} kind @param {number} level @param {string} [skip] */
    const add = (name, kind, level, skip) => {
      // What changes the resolution stands below, or above, what it takes
      if (kind !== 'halve' && boxes[boxes.length - 1]?.kind !== 'double') column += 1;
      boxes.push({ name, kind, level, column, from: skip ? [before, skip] : [before] });
      before = name;
    };
    /** @param {boolean} has_attn */
    const block = (has_attn) => has_attn ? 'attention' : 'block';
    add('stem', 'conv', 0);
    skips.push('stem');
    for (let level = 0; level <= last; level++) {
      for (let i = 0; i < n_blocks; i++) {
        add(`down.${level}.blocks.${i}`, block(is_attn[level]), level);
        skips.push(before);
      }
      if (level < last) {
        add(`down.${level}.resample`, 'halve', level + 1);
        skips.push(before);
      }
    }
    for (let i = 0; i < 2; i++) add(`middle.blocks.${i}`, block(i === 0), last);
    for (let level = last; level >= 0; level--) {
      for (let i = 0; i <= n_blocks; i++) {
        add(`up.${last - level}.blocks.${i}`, block(is_attn[level]), level, skips.pop());
      }
      if (level) add(`up.${last - level}.resample`, 'double', level);
    }
    add('head', 'conv', 0);
    return boxes;
  };

  // ## The code of each kind
  //
  // The rows of the page that are shown, those that are lit for a kind, and the line that calls it.
  const ROWS = /^(ResidualBlock(\.forward.*)?|AttentionBlock.*|Block(\.forward)?|Downsample|Upsample.*|UNet\.forward.*)$/;
  /** @type {Record<Box['kind'], {rows: RegExp[], text: RegExp}>} */
  const CODE = {
    conv: { rows: [], text: /./ },
    block: { rows: [/^ResidualBlock\.forward/], text: /^(h =|return)/ },
    attention: { rows: [/^AttentionBlock\.forward/, /^ResidualBlock\.forward/], text: /^(h =|q, k|return)/ },
    halve: { rows: [/^Downsample$/], text: /^return super/ },
    double: { rows: [/^Upsample/], text: /^return super/ },
  };
  /** @param {Box} box the line of `UNet.forward`, and which of the lines that read so */
  const callOf = ({ name, kind }) => {
    if (name === 'stem') return ['h = self.stem(x)', 0];
    if (name === 'head') return ['return self.head(F.silu(self.norm(h)))', 0];
    if (kind === 'halve' || kind === 'double') return ['h = stage.resample(h)', kind === 'halve' ? 0 : 1];
    if (name.startsWith('up')) return ['h = block(torch.cat([h, skips.pop()], dim=1), t)', 0];
    return ['h = block(h, t)', name.startsWith('down') ? 0 : 1];
  };

  /** @param {Element} line the row that it stands in */
  const rowOf = (line) => (line.closest('section')?.id ?? '').replace(/-\d+$/, '');

  // ## The drawing
  const COLUMNS = 16;
  const SIDE = 60, PITCH = 65, TOP = 45, BELOW = 140;
  /** @param {{level: number, column: number}} box @returns {[number, number]} its corner */
  const corner = ({ level, column }) => [2 + PITCH * column, TOP + BELOW * level];

  /**
   * The channel in which the pixels differ most.
   * @param {DDPM.Maps} maps
   */
  const mostVaried = ({ data, channels, height, width }) => {
    const n = height * width;
    let found = data.subarray(0, n), most = -1;
    for (let c = 0; c < channels; c++) {
      const row = data.subarray(c * n, (c + 1) * n);
      const mean = row.reduce((sum, v) => sum + v, 0) / n;
      const spread = row.reduce((sum, v) => sum + (v - mean) ** 2, 0);
      if (spread > most) [found, most] = [row, spread];
    }
    return found;
  };

  // A box is drawn in so many greys above black: white that covers it more or less
  const GREYS = 20;
  /**
   * From the lowest number, which is black, to the highest: one path for each grey.
   * @param {DDPM.Maps} maps @param {number} left @param {number} top
   */
  const greys = (maps, left, top) => {
    const row = mostVaried(maps), pixel = SIDE / maps.width;
    const low = Math.min(...row), high = Math.max(...row);
    /** @type {string[]} */
    const paths = Array(GREYS + 1).fill('');
    row.forEach((v, i) => {
      const x = left + i % maps.width * pixel, y = top + Math.floor(i / maps.width) * pixel;
      paths[Math.round(GREYS * (v - low) / (high - low || 1))] += `M${x} ${y}h${pixel}v${pixel}h-${pixel}z`;
    });
    return paths.flatMap((d, grey) => d && grey
      ? [draw('path', { class: 'seen', 'fill-opacity': grey / GREYS, 'shape-rendering': 'crispEdges', d })] : []);
  };

  /** @param {Box[]} boxes dashed lines from what is kept to what takes it, arrows along the way */
  const lines = (boxes) => {
    const at = new Map(boxes.map((box) => [box.name, box]));
    const skips = boxes.flatMap((box) => {
      const from = at.get(box.from[1] ?? '');
      if (!from) return [];
      const [x, y] = corner(from), [u] = corner(box);
      const a = x + SIDE / 2, b = u + SIDE / 2;
      // On the first level above the boxes, on the others below them, the longer the further away
      const lift = (from.level ? 1 : -1) * (8 + 5 * (box.column - from.column));
      const edge = from.level ? y + SIDE + 34 : y - 3;
      return [draw('path', { class: 'skip', d: `M${a} ${edge}C${a} ${edge + lift} ${b} ${edge + lift} ${b} ${edge}` })];
    });
    const ways = boxes.filter(({ kind }) => kind === 'halve' || kind === 'double').map((box) => {
      const [x, y] = corner(box), over = y - BELOW + SIDE + 36, under = y - 6;
      const [a, b] = box.kind === 'halve' ? [over, under] : [under, over];
      const tip = box.kind === 'halve' ? -8 : 8, middle = x + SIDE / 2;
      return draw('path', { class: 'way', d: `M${middle} ${a}V${b}M${middle - 6} ${b + tip}L${middle} ${b}L${middle + 6} ${b + tip}` });
    });
    return [...skips, ...ways];
  };

  globalThis.pylit.figures.unet = async (/** @type {DDPM.Host} */ host) => {
    const { say } = host;
    await host.load?.('digits.weights.js');
    const { config } = ddpm.packed, size = config.image_size, all = size * size;
    const network = await ddpm.run(ddpm.networkOf(ddpm.packed));
    const bar = ddpm.alphaBar(ddpm.betas[config.schedule](config.n_steps));
    const boxes = boxesOf(config), columns = boxes[boxes.length - 1].column + 1;
    const width = PITCH * columns - 1, height = TOP + BELOW * (config.ch_mults.length - 1) + SIDE + 66;
    const DIGITS = [ddpm.real.three, ddpm.real.seven];
    /** @type {Map<string, DDPM.Maps>} what was made, by name */
    let made = new Map();
    let chosen = boxes[3], seed = 0;

    const KINDS = {
      conv: say('a convolution'), block: say('a residual block'),
      attention: say('a residual block with attention'), halve: say('halves the image'),
      double: say('doubles the image'),
    };
    const again = () => { update().catch(host.failed); };
    const digit = ddpm.choice(say('Digit'), [['0', '3'], ['1', '7']], '0', again);
    const step = ddpm.slider('t', { min: 1, max: config.n_steps, value: 200 }, again);
    const noise = ddpm.button(say('New noise'), () => { seed += 1; again(); });
    const plot = draw('svg', { viewBox: `0 0 ${width} ${height}`, class: 'plot', 'aria-hidden': 'true' });
    const presses = boxes.map((box) => {
      const press = ddpm.button('', () => { choose(box); });
      const [x, y] = corner(box);
      Object.assign(press.style, { left: `${100 * x / width}%`, top: `${100 * y / height}%`, width: `${100 * SIDE / width}%`, height: `${100 * SIDE / height}%` });
      press.setAttribute('aria-label', `${box.name}: ${KINDS[box.kind]}`);
      press.title = box.name;
      return press;
    });
    // The signs of the drawing, each as it looks there
    const BOX = { x: 6, y: 2, width: 10, height: 10 };
    /** @type {[string, Record<string, string | number>, string][]} */
    const signs = [
      ['rect', { class: 'box block', ...BOX }, say('without attention')],
      ['rect', { class: 'box attention', ...BOX }, say('with attention')],
      ['path', { class: 'skip', d: 'M1 11C1 2 21 2 21 11' }, say('skip connection: an output that a block on the way up takes too')],
      ['path', { class: 'way', d: 'M11 1V13M5 7L11 13L17 7' }, say('the resolution is halved, or doubled')],
      ['rect', { class: 'skip', ...BOX }, say('what the chosen box takes')],
    ];
    const key = ddpm.make('p', { className: 'named' }, ...signs.flatMap(([tag, attributes, text]) => {
      const sign = draw('svg', { viewBox: '0 0 22 14', width: 22, height: 14, 'aria-hidden': 'true' });
      sign.append(draw(tag, attributes));
      return [ddpm.make('span', { style: 'display: inline-block; margin-right: 1em' }, sign, ` ${text}`), ' '];
    }));
    const guess = ddpm.make('p', { className: 'state' }), state = ddpm.make('p', {});
    const maps = ddpm.make('div', { className: 'parts' });
    const own = linesOf().filter((/** @type {Element} */ line) => ROWS.test(rowOf(line)));
    const shown = own.map((/** @type {HTMLElement} */ line) => shownLine(line, '', true));
    const program = ddpm.make('ol', { className: 'program window', tabIndex: 0, 'aria-label': say('The code of the blocks') }, ...shown);
    host.root.append(
      ddpm.make('p', {}, ddpm.make('strong', {}, say('What does each block of the network make of a noisy digit?'))),
      ddpm.make('div', { className: 'controls' }, digit.element, step.element, noise),
      ddpm.make('div', { className: 'drawing' }, plot, ...presses),
      key, guess, state, maps, program,
      ddpm.make('p', {}, say('In each box is one channel of its output, that which varies most, from its lowest number (black) to its highest (white); the number below says how many channels there are. Touch a box: all its channels are shown, and the lines of the code that made them. In the stem one still sees where the digit is bright. In the boxes of 4 × 4 it can no longer be read: they have 16 pixels each, and each number there depends on a large part of the image. The last box of the lower row has doubled the resolution to 8 × 8 again. Move t to 1000: the guess ε looks like xₜ, which is nothing but noise then. Move t to 1: the noise is too faint to be seen, and the guess is hardly better than none, which would be off by 1.')),
    );
    program.hidden = shown.length === 0;

    /** @param {number} x @param {number} y @param {string} text */
    const word = (x, y, text) => draw('text', { class: 'tick', x, y, 'text-anchor': 'middle', 'dominant-baseline': 'hanging' }, text);
    const input = { name: 'x', kind: 'input', level: 0, column: 0 };
    /** What was made, in the drawing. */
    const paintAll = () => {
      const far = corner({ level: 0, column: columns / 2 })[0];
      plot.replaceChildren(...lines(boxes), ...[input, ...boxes].flatMap((box) => {
        const [x, y] = corner(box), of = /** @type {DDPM.Maps} */ (made.get(box.name));
        const named = box.name === 'x' ? 'xₜ' : box.name === 'head' ? 'ε' : String(of.channels);
        return [
          draw('rect', { class: `box ${box.kind}`, x, y, width: SIDE, height: SIDE }),
          ...greys(of, x, y),
          word(x + SIDE / 2, y + SIDE + 5, named),
          // It stands beside what it takes, and is larger
          ...(box.kind === 'double' ? [word(x + 2 * SIDE, y + SIDE / 3, `${of.width} × ${of.height}`)] : []),
        ];
      }), ...config.ch_mults.map((/** @type {number} */ _, /** @type {number} */ level) => {
        const side = size >> level, y = corner({ level, column: 0 })[1] + SIDE / 3;
        return word(level ? SIDE : far, y, `${side} × ${side}`);
      }));
    };

    /** @param {string} name @param {string} title all channels of an output */
    const channelsOf = (name, title) => {
      const { data, channels, height: h, width: w } = /** @type {DDPM.Maps} */ (made.get(name)), n = h * w;
      const text = ddpm.filled(channels === 1
        ? say('1 channel of {side} × {side}, from its lowest number (black) to its highest (white)')
        : say('{channels} channels of {side} × {side}, each from its lowest number (black) to its highest (white)'),
        { channels, side: h });
      // One canvas for all: a hundred of them would take the browser a tenth of a second to show
      const columns = Math.min(COLUMNS, channels), rows = Math.ceil(channels / COLUMNS);
      const canvas = ddpm.make('canvas', {
        width: columns * (w + 1) - 1, height: rows * (h + 1) - 1, className: 'channels',
        role: 'img', 'aria-label': `${name}: ${text}`,
      });
      if (channels < COLUMNS) canvas.classList.add('few');
      for (let c = 0; c < channels; c++) {
        const row = data.subarray(c * n, (c + 1) * n), low = Math.min(...row), high = Math.max(...row);
        ddpm.paint(canvas, row.map((v) => 2 * (v - low) / (high - low || 1) - 1), 1, h,
          c % COLUMNS * (w + 1), Math.floor(c / COLUMNS) * (h + 1));
      }
      return [
        ddpm.make('p', { className: 'named' }, title ? `${title}: ${text}` : text),
        canvas,
      ];
    };

    const show = () => {
      const { name, kind, from } = chosen;
      boxes.forEach((box, i) => {
        presses[i].setAttribute('aria-pressed', String(box === chosen));
        presses[i].classList.toggle('from', from.includes(box.name));
      });
      maps.replaceChildren(...kind === 'attention'
        ? [...channelsOf(`${name}.residual`, say('after the residual block')), ...channelsOf(name, say('after the attention'))]
        : channelsOf(name, ''));
      const takes = from.map((other) => other === 'x' ? 'xₜ' : other);
      state.textContent = `${name}: ${KINDS[kind]}. ` + ddpm.filled(
        takes.length > 1 ? say('It takes the output of {first} and, from the way down, that of {second}.')
          : from[0] === 'x' ? say('It takes the noisy digit {first}.') : say('It takes the output of {first}.'),
        { first: takes[0], second: takes[1] ?? '' });
      lit();
    };

    /** The lines that run, here and in the page. */
    const lit = () => {
      const { rows, text } = CODE[chosen.kind], [call, nth] = callOf(chosen);
      const calls = own.filter((/** @type {Element} */ line) => said(line) === call);
      let first = -1;
      own.forEach((/** @type {HTMLElement} */ line, /** @type {number} */ i) => {
        const found = rows.findIndex((row) => row.test(rowOf(line)));
        const on = line === calls[nth] || (found >= 0 && text.test(said(line)));
        line.classList.toggle('lit', on);
        shown[i].classList.toggle('lit', on);
        if (on && first < 0 && (rows.length === 0 || found === 0)) first = i;
      });
      if (first < 0) return;
      looked = shown[first];
      look(ddpm.calm() ? 'auto' : 'smooth');
    };

    /** @type {HTMLElement | undefined} the first line that is lit */
    let looked;
    /** @param {ScrollBehavior} behavior how that line is brought into the window */
    const look = (behavior) => {
      if (!looked) return;
      const top = looked.offsetTop - shown[0].offsetTop - 2 * looked.offsetHeight;
      program.scrollTo({ top, behavior });
    };
    // In a narrower page the lines stand elsewhere
    new ResizeObserver(() => { look('auto'); }).observe(program);

    /** @param {Box} box */
    const choose = (box) => {
      chosen = box;
      choices += 1;
      // Before the first pass has ended there is nothing to show
      if (made.size === 0) return;
      show();
      host.announce(told());
    };
    const told = () => `${state.textContent} ${maps.querySelector('.named')?.textContent}`;

    let asked = 0, choices = 0;
    const update = async () => {
      const mine = ++asked, before = choices, t = step.get() - 1, eps = ddpm.seededNoise(seed)(all);
      const xt = ddpm.qSample(DIGITS[Number(digit.get())], bar[t], eps);
      const found = new Map([['x', { data: xt, channels: 1, height: size, width: size }]]);
      await ddpm.run(network(xt, t, -1, (/** @type {string} */ name, /** @type {DDPM.Maps} */ of) => { found.set(name, of); }));
      // Another change has come in between: its answer follows
      if (mine !== asked) return;
      made = found;
      paintAll();
      show();
      const off = ddpm.rms(eps, /** @type {DDPM.Maps} */ (made.get('head')).data);
      guess.textContent = `t = ${t + 1}: ` + ddpm.filled(
        say('the guess ε of the noise is off by {off} (root mean square; the noise itself has about 1).'), { off: off.toFixed(2) });
      // What was chosen meanwhile would not be heard: this takes its place
      host.announce(choices > before ? `${told()} ${guess.textContent}` : guess.textContent);
    };
    await update();
  };

  Object.assign(ddpm, { net: { boxesOf } });
})();
