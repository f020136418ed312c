// Comfort for pages that are complete without it.
(() => {
  'use strict';
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const body = document.body;
  const say = JSON.parse(body.dataset.strings);
  const remember = {
    get: (key) => { try { return localStorage.getItem(`pylit-${key}`); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(`pylit-${key}`, value); } catch { /* closed */ } },
  };
  root.classList.add('js');
  globalThis.pylit = {};
  for (const id of ['theme', 'help']) $(`#pylit-${id}`).hidden = false;

  // Theme: the system's, until the reader says otherwise
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const theme = () => root.dataset.theme || (dark.matches ? 'dark' : 'light');
  const turn = () => {
    root.dataset.theme = theme() === 'dark' ? 'light' : 'dark';
    remember.set('theme', root.dataset.theme);
  };
  $('#pylit-theme').addEventListener('click', turn);

  // Symbols: point at one and every place that means the same lights up; a click keeps it lit
  const places = new Map();
  for (const element of $$('[data-sym]')) {
    const key = element.dataset.sym;
    if (!places.has(key)) places.set(key, []);
    places.get(key).push(element);
  }
  let pinned = null;
  let lit = null;
  const light = (key) => {
    if (key === lit) return;
    for (const element of places.get(lit) || []) element.classList.remove('lit');
    for (const element of places.get(key) || []) element.classList.add('lit');
    lit = key;
  };
  const pin = (key) => {
    for (const element of places.get(pinned) || []) element.classList.remove('pinned');
    pinned = key === pinned ? null : key;
    for (const element of places.get(pinned) || []) element.classList.add('pinned');
    for (const button of $$('.notation button')) {
      button.setAttribute('aria-pressed', String(button.dataset.sym === pinned));
    }
    light(pinned);
  };
  const symbol = (event) => event.target.closest?.('[data-sym]')?.dataset.sym ?? null;
  for (const button of $$('.notation button')) button.disabled = false;
  if (places.size) {
    document.addEventListener('pointerover', (event) => {
      if (event.pointerType !== 'touch') light(symbol(event) ?? pinned);
    });
    document.addEventListener('focusin', (event) => light(symbol(event) ?? pinned));
    document.addEventListener('focusout', () => light(pinned));
    document.addEventListener('click', (event) => {
      const key = symbol(event);
      if (key && !event.target.closest('a')) pin(key);
    });
  }

  // Cells that scroll must be reachable by keyboard, and only those
  const reach = () => {
    for (const cell of $$('pre, .display, .scroll')) {
      const overflows = cell.scrollWidth > cell.clientWidth + 1;
      if (!overflows) {
        for (const name of ['tabindex', 'role', 'aria-label']) cell.removeAttribute(name);
        continue;
      }
      cell.tabIndex = 0;
      cell.setAttribute('role', 'group');
      const kind = cell.matches('pre') ? say.code : cell.matches('.display') ? say.formula : say.table;
      cell.setAttribute('aria-label', kind);
    }
  };
  const wrapper = $('.wrap');
  const wrap = (on) => {
    root.classList.toggle('wrapped', on);
    wrapper?.setAttribute('aria-pressed', String(on));
    reach();
  };
  const rewrap = () => {
    wrap(!root.classList.contains('wrapped'));
    remember.set('wrap', root.classList.contains('wrapped') ? 'on' : 'off');
  };
  wrap(remember.get('wrap') === 'on');
  if (wrapper && $('.code')) {
    wrapper.hidden = false;
    wrapper.addEventListener('click', rewrap);
  }
  document.fonts?.ready.then(reach);
  addEventListener('resize', reach);

  // Copy: the lines, without numbers
  const old = (text) => {
    // Browsers have a clipboard only where the address is safe; this way is older and everywhere
    const area = document.createElement('textarea');
    area.value = text;
    area.style.cssText = 'position:fixed;opacity:0';
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    focused?.focus();
    if (!done) throw new Error('not copied');
  };
  const copy = async (button, text) => {
    const before = button.dataset.label ??= button.textContent;
    let done = say.copied;
    try {
      const all = await text;
      await (navigator.clipboard ? navigator.clipboard.writeText(all) : old(all));
    } catch { done = say.uncopied; }
    button.textContent = $('#pylit-status').textContent = done;
    setTimeout(() => { button.textContent = before; $('#pylit-status').textContent = ''; }, 1600);
  };
  for (const button of $$('.copy')) {
    button.hidden = false;
    button.addEventListener('click', () => copy(button, $('code', button.closest('.stick')).textContent));
  }
  // The whole file is a script of its own, which is asked for when a reader comes near the button
  const whole = $('.whole');
  let source = null;
  const text = () => source ??= new Promise((done, fail) => {
    globalThis.pylit.source = done;
    const script = document.createElement('script');
    script.src = whole.dataset.source;
    script.onerror = () => { source = null; fail(new Error('no source')); };
    document.head.append(script);
  });
  if (whole) {
    whole.hidden = false;
    for (const near of ['pointerenter', 'focus']) whole.addEventListener(near, () => text().catch(() => {}));
    whole.addEventListener('click', () => copy(whole, text()));
  }
  // Living figures: what runs in them is asked for at the first touch
  for (const place of $$('[data-live]')) {
    const start = document.createElement('button');
    start.type = 'button';
    start.className = 'start';
    start.textContent = place.dataset.start;
    place.append(start);
    place.addEventListener('click', () => {
      if (start.disabled) return;
      start.disabled = true;
      globalThis.pylit.living ??= new Promise((done, fail) => {
        const script = document.createElement('script');
        script.src = `${body.dataset.root}assets/live.js`;
        script.onload = done;
        script.onerror = fail;
        document.head.append(script);
      });
      globalThis.pylit.living.then(() => globalThis.pylit.live(place, start), () => { start.disabled = false; });
    });
  }
  // A click on a number is a link to the line
  document.addEventListener('click', (event) => {
    const line = event.target;
    if (line.matches?.('.l') && event.clientX - line.getBoundingClientRect().left < 60) {
      history.replaceState(null, '', `#${line.id}`);
      location.hash = line.id;
    }
  });

  // Contents: open where there is room, and following the reader
  const toc = $('#pylit-toc');
  const wide = matchMedia('(min-width: 1100px)');
  const fold = () => { if (toc) toc.open = wide.matches; };
  fold();
  wide.addEventListener('change', fold);
  const links = new Map($$('#pylit-toc a').map((a) => [decodeURIComponent(a.hash.slice(1)), a]));
  const marks = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const follow = () => {
    let now = marks[0];
    for (const mark of marks) if (mark.getBoundingClientRect().top < innerHeight / 3) now = mark;
    for (const link of links.values()) link.classList.remove('now');
    const link = now && links.get(now.id);
    if (link) {
      link.classList.add('now');
      const side = $('.side');
      const box = link.getBoundingClientRect();
      if (wide.matches && (box.top < 60 || box.bottom > innerHeight)) side.scrollTop += box.top - innerHeight / 2;
    }
  };
  let waiting = false;
  addEventListener('scroll', () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; follow(); });
  }, { passive: true });
  follow();

  // Search: the index is a script, because a page opened from a file may not fetch
  const input = $('#pylit-search');
  const results = $('#pylit-results');
  let index = null;
  const plain = (text) => text.normalize('NFKC').toLowerCase();
  globalThis.pylit.index = (pages) => {
    index = pages.flatMap(([url, title, rows]) =>
      rows.map(([anchor, heading, name, words]) => ({
        url: `${url}#${anchor}`, title, heading, name, words,
        parts: [heading, name, words].map(plain),
      })));
    look();
  };
  const load = () => {
    if (index || $('#pylit-index')) return;
    const script = document.createElement('script');
    script.id = 'pylit-index';
    script.src = body.dataset.search;
    document.head.append(script);
  };
  // Chinese and Japanese have no spaces: what is not found as a whole may be found by its words
  const spaceless = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
  const segmenter = globalThis.Intl?.Segmenter && new Intl.Segmenter(root.lang, { granularity: 'word' });
  const segment = (word) => {
    if (!segmenter || !spaceless.test(word)) return [];
    const parts = [...segmenter.segment(word)].filter((part) => part.isWordLike).map((part) => part.segment);
    // Particles and endings say how words hang together
    const words = parts.filter((part) => !/^\p{Script=Hiragana}{1,3}$/u.test(part));
    return words.length && words[0] !== word ? words : [];
  };
  const rate = ([heading, name, text], word) =>
    (heading.includes(word) ? 5 : 0) + (name.includes(word) ? 4 : 0) + (text.includes(word) ? 1 : 0);
  const score = (entry, words) => {
    let sum = 0;
    for (const { whole, parts } of words) {
      let found = 2 * rate(entry.parts, whole);
      if (!found && parts.length) {
        const rates = parts.map((part) => rate(entry.parts, part));
        found = Math.min(...rates) && rates.reduce((a, b) => a + b) / rates.length;
      }
      if (!found) return 0;
      sum += found;
    }
    return sum;
  };
  const base = body.dataset.search.replace(/search\.js$/, '');
  const look = () => {
    const words = plain(input.value).split(/\s+/).filter(Boolean)
      .map((whole) => ({ whole, parts: segment(whole) }));
    results.hidden = !words.length || !index;
    if (results.hidden) return;
    const found = index
      .map((entry) => ({ entry, score: score(entry, words) }))
      .filter((hit) => hit.score)
      .sort((a, b) => b.score - a.score)
      .slice(0, 12);
    results.replaceChildren(...found.map(({ entry }) => {
      const link = document.createElement('a');
      link.href = base + entry.url;
      const title = document.createElement('b');
      title.textContent = entry.heading || entry.name;
      const where = document.createElement('small');
      where.textContent = [entry.title, entry.name].filter((t) => t && t !== title.textContent).join(' · ');
      link.append(title, where);
      return link;
    }));
    if (!found.length) {
      const none = document.createElement('p');
      none.textContent = say.nothing;
      results.append(none);
    }
  };
  input.disabled = false;
  input.addEventListener('focus', load);
  input.addEventListener('input', look);
  const walk = (event) => {
    const options = $$('a', results);
    const at = options.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || results.hidden) return;
    event.preventDefault();
    (options[at + step] ?? input).focus();
  };
  $('.search').addEventListener('keydown', walk);
  input.addEventListener('keydown', (event) => {
    // The Enter that ends a composition chooses characters, and not a result
    if (event.key === 'Enter' && !event.isComposing) $('a', results)?.click();
  });
  const shut = () => { results.hidden = true; };
  document.addEventListener('click', (event) => { if (!event.target.closest('.search')) shut(); });

  // Keys, which a reader can switch off
  const rows = $$('.row');
  let row = -1;
  const go = (step) => {
    row = Math.min(Math.max(row + step, 0), rows.length - 1);
    for (const other of rows) other.classList.toggle('now', other === rows[row]);
    rows[row]?.scrollIntoView({ block: 'start' });
  };
  const page = (rel) => $(`.turn a[rel="${rel}"]`)?.click();
  const dialog = document.createElement('dialog');
  const help = () => {
    if (!dialog.isConnected) {
      const list = [['j', 'k', say.key_j], ['n', 'p', say.key_n], ['/', '', say.key_s], ['t', '', say.key_t], ['w', '', say.key_w], ['Esc', '', say.key_e]];
      const terms = document.createElement('dl');
      for (const [one, two, text] of list) {
        const term = document.createElement('dt');
        for (const key of [one, two].filter(Boolean)) {
          const kbd = document.createElement('kbd');
          kbd.textContent = key;
          term.append(kbd, ' ');
        }
        const what = document.createElement('dd');
        what.textContent = text;
        terms.append(term, what);
      }
      const label = document.createElement('label');
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = remember.get('keys') !== 'off';
      box.addEventListener('change', () => remember.set('keys', box.checked ? 'on' : 'off'));
      label.append(box, ` ${say.keys}`);
      const close = document.createElement('button');
      close.textContent = say.close;
      close.addEventListener('click', () => dialog.close());
      const end = document.createElement('p');
      end.append(close);
      dialog.setAttribute('aria-label', $('#pylit-help').title);
      dialog.append(terms, label, end);
      body.append(dialog);
    }
    dialog.showModal();
  };
  $('#pylit-help').addEventListener('click', help);
  const keys = {
    j: () => go(1), k: () => go(-1), n: () => page('next'), p: () => page('prev'),
    t: turn, w: rewrap, '?': help, '/': () => { input.focus(); input.select(); },
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      if (pinned) pin(pinned);
      light(null);
      shut();
      return;
    }
    const typing = event.target.closest?.('input, textarea, select, dialog');
    if (typing || event.ctrlKey || event.metaKey || event.altKey || remember.get('keys') === 'off') return;
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
})();
