// # Figures: controls, pictures, and the figure that draws from a model
//
// A figure is a function of its host: the page around it, which gives it an empty element, says its
// texts in the reader's language and loads what it needs. Everything is an element that a keyboard
// reaches and a screen reader knows.
((ddpm) => {
  'use strict';

  /**
   * An element with its properties and what is in it.
   * @template {keyof HTMLElementTagNameMap} K
   * @param {K} tag @param {Record<string, any>} [properties]
   * @param {(Node | string)[]} inside
   * @returns {HTMLElementTagNameMap[K]}
   */
  const make = (tag, properties = {}, ...inside) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) /** @type {any} */ (element)[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...inside);
    return element;
  };

  // ## Controls, each with its label
  /**
   * @param {string} label @param {{min: number, max: number, step?: number | 'any', value: number}} range
   * @param {() => void} changed @param {(value: number) => string} [shown]
   */
  const slider = (label, range, changed, shown = String) => {
    const { value, ...limits } = range;
    const input = make('input', { type: 'range', ...limits });
    input.valueAsNumber = value;
    // No <output>, which would be read aloud a second time
    const output = make('span', { className: 'value' }, shown(value));
    const tell = () => {
      const text = shown(input.valueAsNumber);
      output.textContent = text;
      input.setAttribute('aria-valuetext', text);
    };
    tell();
    input.addEventListener('input', () => { tell(); changed(); });
    return {
      element: make('label', { className: 'control' }, make('span', {}, label), input, output),
      get: () => input.valueAsNumber,
      /** @param {number} v */
      set: (v) => { input.valueAsNumber = v; tell(); },
      input,
    };
  };

  /**
   * A whole number that is typed; what is none, or out of range, is brought back into it.
   * @param {string} label @param {{min: number, max: number, value: number}} range
   * @param {() => void} changed
   */
  const number = (label, { min, max, value }, changed) => {
    const input = make('input', { type: 'number', min, max, step: 1, inputMode: 'numeric' });
    input.value = String(value);
    const get = () => {
      const typed = Math.round(Number(input.value));
      return Math.min(max, Math.max(min, Number.isFinite(typed) ? typed : min));
    };
    input.addEventListener('change', () => { input.value = String(get()); changed(); });
    return {
      element: make('label', { className: 'control' }, make('span', {}, label), input),
      get,
      /** @param {number} v */
      set: (v) => { input.value = String(v); },
      input,
    };
  };

  /**
   * @param {string} label @param {[string, string][]} options value and text of each
   * @param {string} value @param {() => void} changed
   */
  const choice = (label, options, value, changed) => {
    const input = make('select', {}, ...options.map(([v, text]) => make('option', { value: v }, text)));
    input.value = value;
    input.addEventListener('change', changed);
    return {
      element: make('label', { className: 'control' }, make('span', {}, label), input),
      get: () => input.value,
      input,
    };
  };

  /** @param {string} label @param {() => void} pressed */
  const button = (label, pressed) => {
    const element = make('button', { type: 'button', className: 'press' }, label);
    element.addEventListener('click', () => { if (element.ariaDisabled !== 'true') pressed(); });
    return element;
  };

  /**
   * Switch a button on or off. One that is `disabled` would lose the focus of the keyboard.
   * @param {HTMLButtonElement} element @param {boolean} on
   */
  const switched = (element, on) => { element.ariaDisabled = String(!on); };

  // ## Pictures
  /**
   * @param {HTMLCanvasElement} canvas @param {Float32Array} x in $[-1, 1]$
   * @param {number} channels @param {number} size
   * @param {number} [left] @param {number} [top] where on the canvas
   */
  const paint = (canvas, x, channels, size, left = 0, top = 0) => {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    const image = context.createImageData(size, size), n = size * size;
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < 3; c++) {
        image.data[4 * i + c] = ddpm.toByte(x[(channels >= 3 ? c : 0) * n + i]);
      }
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, left, top);
  };

  /** @param {string} label @param {number} size */
  const canvasOf = (label, size) =>
    make('canvas', { width: size, height: size, className: 'pixels', role: 'img', 'aria-label': label });

  /** @param {Float32Array} x @param {Float32Array} y the root of the mean square of their difference */
  const rms = (x, y) => Math.sqrt(x.reduce((sum, v, i) => sum + (v - y[i]) ** 2, 0) / x.length);

  const calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

  /** @param {string} text @param {Record<string, string | number>} values for `{name}` */
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

  // ## Pictures from noise
  //
  // Eight at a time, one after the other, so that the first is there at once.
  /** @type {[string, string][]} */
  const NAMES = [['dpm', 'DPM-Solver++ 2M'], ['pndm', 'PNDM'], ['ddim', 'DDIM'], ['ddpm', 'DDPM']];

  // So many numbers are kept of each chain
  const KEPT = 2e6;
  // In milliseconds: how often it is written how far the pictures are, when the rest of the time can
  // be told, and how often it is said aloud
  const WRITTEN = 250, KNOWN = 3000, SAID = 30000;

  /**
   * @param {DDPM.Host} host
   * @param {DDPM.Packed} packed the model
   * @param {{n?: number, save?: boolean}} [options] how many pictures, whether they can be saved
   */
  const drawing = async (host, packed, { n = 8, save = false } = {}) => {
    const { say } = host, { config, how } = packed;
    const { image_size: size, image_channels: channels, n_steps: T } = config;
    const numbers = channels * size * size;
    const network = await ddpm.run(ddpm.networkOf(packed));
    const beta = ddpm.betas[config.schedule](T);
    /** @type {{k: number, x: Float32Array}[][]} */
    const chains = [];
    let stop = new AbortController(), finished = false;

    const again = () => { draw().catch(host.failed); };
    const sampler = choice(say('Sampler'), NAMES, how.sampler, () => {
      // Algorithm 2 takes all steps, unless one asks for fewer
      steps.set(sampler.get() === 'ddpm' ? T : Math.min(20, T));
      again();
    });
    const steps = number(say('Steps'), { min: 1, max: T, value: how.steps }, again);
    const seed = number(say('Seed'), { min: 0, max: 2 ** 53 - 1, value: how.seed }, again);
    const told = classes(host, packed, again);
    // What the sampler was told when the page was made holds for that sampler
    const own = () => sampler.get() === how.sampler ? how.options : {};
    const fresh = button(say('New noise'), () => {
      seed.set(Math.floor(Math.random() * 1e6));
      again();
    });
    const pictures = Array.from({ length: n }, (_, i) =>
      canvasOf(filled(say('Picture {i}'), { i: i + 1 }), size));
    const place = slider(say('Along the chain'), { min: 0, max: 1, step: 1, value: 1 }, () => {
      shown(place.get());
    }, (i) => finished ? filled(say('step {k}'), { k: chains[0][i].k }) : say('once all are drawn'));
    const command = commandOf(host);
    const state = make('p', { className: 'state' });

    host.root.append(
      make('div', { className: 'controls' }, fresh, sampler.element, steps.element, seed.element,
        ...told.elements),
      make('div', { className: 'pictures' }, ...pictures),
      make('div', { className: 'controls' }, place.element,
        ...(save ? [button(say('Save as PNG'), () => saved(pictures, `${packed.name}_${seed.get()}`))] : [])),
      state,
      command.element,
    );

    /** @param {number} k a place among the steps that were kept */
    const shown = (k) => {
      chains.forEach((chain, i) => paint(pictures[i], chain[k].x, channels, size));
    };

    /** @param {number} i @param {(k: number) => void} far @param {AbortSignal} signal */
    const one = async (i, far, signal) => {
      const model = told.model(network, numbers, i);
      const noise = ddpm.seededNoise(seed.get(), i), x = noise(numbers);
      const chain = chains[i], total = steps.get();
      // Of many large pictures a chain keeps some alone: what is kept is memory
      const stride = Math.ceil(total * numbers / KEPT);
      let k = 0;
      const walk = ddpm.SAMPLERS[sampler.get()](
        { beta, model, variance: config.variance }, x, noise, { steps: total, ...own() });
      await ddpm.run(walk, (/** @type {DDPM.Step} */ step) => {
        k += 1;
        if (k % stride === 0 || k === total) chain.push({ k, x: step.x });
        if (!calm()) paint(pictures[i], step.x, channels, size);
        far(k);
      }, signal);
      if (!signal.aborted) paint(pictures[i], chain[chain.length - 1].x, channels, size);
    };

    const draw = async () => {
      stop.abort();
      const { signal } = stop = new AbortController();
      const about = { n, steps: steps.get(), seed: seed.get(), sampler: sampler.get() };
      command.show(told.command(
        `python -m labml_nn.diffusion.ddpm.evaluate sample ${packed.name} --n ${n} `
        + `--seed ${about.seed} --sampler ${about.sampler} --steps ${about.steps}`
        + Object.entries(own()).map(([name, value]) => ` --${name} ${value}`).join(''),
      ) + (how.weights === 'ema' ? '' : ` --weights ${how.weights}`));
      const began = performance.now();
      let written = began, said = began + KNOWN - SAID;
      /** @param {number} i @param {number} k steps of picture `i` that are done */
      const far = (i, k) => {
        const now = performance.now(), part = (i * about.steps + k) / (n * about.steps);
        if (now - written < WRITTEN || part === 1) return;
        written = now;
        const at = { i: i + 1, n, k, steps: about.steps };
        const left = Math.ceil((now - began) * (1 / part - 1) / 5000) * 5;
        state.textContent = now - began < KNOWN
          ? filled(say('Drawing picture {i} of {n}: step {k} of {steps} …'), at)
          : filled(say('Drawing picture {i} of {n}: step {k} of {steps}, about {left} seconds to go …'),
            { ...at, left });
        // Not again for the last moments
        if (now - said < SAID || left <= 5) return;
        said = now;
        host.announce(state.textContent);
      };
      finished = false;
      place.input.disabled = true;
      place.set(Number(place.input.max));
      for (let i = 0; i < n; i++) {
        const noise = ddpm.seededNoise(about.seed, i)(numbers);
        chains[i] = [{ k: 0, x: noise }];
        paint(pictures[i], noise, channels, size);
      }
      for (let i = 0; i < n && !signal.aborted; i++) {
        // Later on `far` says it, and more
        if (performance.now() - began < KNOWN) {
          state.textContent = filled(say('Drawing picture {i} of {n} …'), { i: i + 1, n });
        }
        await one(i, (k) => far(i, k), signal);
      }
      if (signal.aborted) return;
      finished = true;
      place.input.disabled = false;
      place.input.max = String(chains[0].length - 1);
      place.set(chains[0].length - 1);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      state.textContent = filled(
        say('{n} pictures in {seconds} seconds, with {steps} of {all} steps each, from the noise of seed {seed}.'),
        { ...about, seconds, all: T });
      host.announce(state.textContent);
    };
    again();
  };

  /**
   * What a model with classes can be told. One without has no controls for it.
   * @param {DDPM.Host} host @param {DDPM.Packed} packed @param {() => void} changed
   */
  const classes = ({ say }, { config, classes: names, how }, changed) => {
    if (!config.n_classes) {
      return {
        elements: [],
        /** @param {DDPM.Network} network @returns {DDPM.Model} */
        model: (network) => (x, t) => network(x, t),
        /** @param {string} text */
        command: (text) => text,
      };
    }
    const numbers = Array.from({ length: config.n_classes }, (_, i) => i);
    // One class that was asked for is chosen in the list; several take turns
    const only = how.labels?.length === 1 ? String(how.labels[0]) : '';
    const turns = only || !how.labels ? numbers : how.labels;
    const label = choice(say('Class'), [
      ['', say('each in turn')],
      ...numbers.map((i) => /** @type {[string, string]} */ ([String(i), names[i] ?? String(i)])),
      ['-1', say('none')],
    ], only, changed);
    const push = slider(say('Guidance'), { min: 0, max: 8, step: 0.5, value: how.guidance }, changed,
      (w) => `w = ${w}`);
    // Without images that had no label, the second guess was never learned
    push.input.disabled = config.p_uncond === 0;
    const chosen = () => label.get() === '' ? turns : [Number(label.get())];
    return {
      elements: [label.element, push.element],
      /** @param {DDPM.Network} network @param {number} n @param {number} i @returns {DDPM.Model} */
      model: (network, n, i) => {
        const of = chosen();
        return ddpm.guided(network, of[i % of.length], push.get(), n);
      },
      /** @param {string} text */
      command: (text) => {
        const of = chosen(), all = of.length === numbers.length;
        return text + (all ? '' : ` --label ${of.map((i) => i < 0 ? 'none' : i).join(' ')}`)
          + (push.get() ? ` --guidance ${push.get()}` : '');
      },
    };
  };

  /** @param {DDPM.Host} host a command, and a button that copies it */
  const commandOf = (host) => {
    const code = make('code', {});
    const copied = button(host.say('Copy'), () => { void copy(code.textContent ?? '', host); });
    /** @param {string} words A hyphen is no place to break an option. */
    const show = (words) => {
      code.replaceChildren(...words.split(' ').flatMap((word, i) => {
        const whole = make('span', {}, word);
        whole.style.display = 'inline-block';
        return i ? [' ', whole] : [whole];
      }));
    };
    return { element: make('p', { className: 'command' }, code, copied), show };
  };

  /** @param {string} text @param {DDPM.Host} host */
  const copy = async (text, host) => {
    try {
      await navigator.clipboard.writeText(text);
      host.announce(host.say('Copied'));
    } catch {
      host.announce(host.say('Could not be copied'));
    }
  };

  /**
   * All pictures in a row as one file, at their own size.
   * @param {HTMLCanvasElement[]} pictures @param {string} name
   */
  const saved = (pictures, name) => {
    const side = pictures[0].width;
    const row = make('canvas', { width: side * pictures.length, height: side });
    const context = /** @type {CanvasRenderingContext2D} */ (row.getContext('2d'));
    pictures.forEach((picture, i) => context.drawImage(picture, i * side, 0));
    row.toBlob((blob) => {
      if (!blob) return;
      const link = make('a', { href: URL.createObjectURL(blob), download: `${name.replace(/\W+/g, '_')}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  };

  Object.assign(ddpm, { make, slider, number, choice, button, switched, paint, canvasOf, rms, calm, filled, commandOf, drawing });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
