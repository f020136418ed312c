// Comfort for pages that are complete without it.
(() => {
  'use strict';
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const body = document.body;
  const make = (tag, more) => Object.assign(document.createElement(tag), more);
  const say = JSON.parse(body.dataset.strings);
  const remember = {
    get: (key) => { try { return localStorage.getItem(`pylit-${key}`); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(`pylit-${key}`, value); } catch { /* closed */ } },
  };
  globalThis.pylit = {};

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
  // Beside it stands what it means, its shape, and the line that defines it
  const told = JSON.parse(body.dataset.symbols || '{}');
  const tip = make('div', { id: 'pylit-tip', role: 'tooltip', hidden: true });
  $('main').append(tip);
  const tell = (element) => {
    const said = told[element?.dataset.sym];
    tip.hidden = !said;
    if (!said) return;
    const [meaning, shape, n] = said;
    const line = document.getElementById(`L${n}`);
    const codes = [shape, line && `${n} ${line.textContent.trim()}`].filter(Boolean);
    tip.replaceChildren(meaning, ...codes.map((textContent) => make('code', { textContent })));
    const { left, bottom } = element.getBoundingClientRect();
    tip.style.left = 0;
    tip.style.left = `${Math.max(0, Math.min(left, root.clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${bottom + scrollY}px`;
  };
  const symbol = (event) => event.target.closest?.('[data-sym]');
  const point = (event) => {
    if (tip.contains(event.target)) return;
    light(symbol(event)?.dataset.sym ?? pinned);
    tell(symbol(event));
  };
  for (const button of $$('.notation button')) {
    button.disabled = false;
    button.setAttribute('aria-describedby', tip.id);
  }
  if (places.size) {
    document.addEventListener('pointerover', (event) => {
      if (event.pointerType !== 'touch') point(event);
    });
    document.addEventListener('focusin', point);
    document.addEventListener('focusout', () => { light(pinned); tell(); });
    document.addEventListener('click', (event) => {
      const element = event.target.closest('a') ? null : symbol(event);
      if (element) pin(element.dataset.sym);
      if (!tip.contains(event.target)) tell(pinned && element);
    });
  }

  // Papers: point at a citation, and see what is cited
  for (const cite of $$('.cite')) cite.title = document.getElementById(cite.hash.slice(1)).textContent;

  // Cells that scroll must be reachable by keyboard, and only those
  const reach = () => {
    // All are measured before any is changed: each change would lay out the page again
    const size = (cell) => [cell, cell.scrollWidth > cell.clientWidth + 1];
    for (const [cell, over] of $$('pre, .display, .scroll').map(size)) {
      if (over === cell.hasAttribute('tabindex')) continue;
      if (!over) {
        for (const name of ['tabindex', 'role', 'aria-label']) cell.removeAttribute(name);
        continue;
      }
      cell.tabIndex = 0;
      cell.role = 'group';
      cell.ariaLabel = cell.matches('pre') ? say.code : cell.matches('.display') ? say.formula : say.table;
    }
  };
  // Long lines: wrapped on a phone, and scrolled elsewhere, until the reader says otherwise
  const wrapper = $('.wrap');
  const phone = matchMedia('(max-width: 640px)');
  const wrapped = () => (root.dataset.wrap || (phone.matches ? 'on' : 'off')) === 'on';
  const measure = () => {
    wrapper?.setAttribute('aria-pressed', String(wrapped()));
    reach();
  };
  const rewrap = () => {
    root.dataset.wrap = wrapped() ? 'off' : 'on';
    remember.set('wrap', root.dataset.wrap);
    measure();
  };
  if (wrapper) {
    wrapper.hidden = false;
    wrapper.addEventListener('click', rewrap);
  }
  document.fonts?.ready.then(reach);
  addEventListener('resize', measure);

  // Copy: the lines, without numbers
  const old = (text) => {
    // Browsers have a clipboard only where the address is safe; this way is older and everywhere
    const area = make('textarea', { value: text });
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
  // What one types: without prompts, and without what was answered
  const typed = (code) => {
    const asked = $('.q', code);
    const lines = code.cloneNode(true);
    for (const part of $$('.q, .o', lines)) part.remove();
    return asked ? lines.textContent.trimEnd() : code.textContent;
  };
  const copied = (box, text) => {
    let acts = $('.acts', box);
    if (!acts) {
      acts = make('p', { className: 'acts' });
      box.prepend(acts);
    }
    const button = make('button', { type: 'button', className: 'copy', textContent: say.copy });
    button.addEventListener('click', () => copy(button, text()));
    acts.append(button);
  };
  for (const box of $$('.code .stick')) {
    if ($('.l', box)) copied(box, () => $$('.l', box).map((line) => `${line.textContent}\n`).join(''));
  }
  for (const cell of $$('main pre.block')) {
    const box = make('div', { className: 'fenced' });
    cell.replaceWith(box);
    box.append(cell);
    copied(box, () => typed($('code', cell)));
  }
  // The whole file is a script of its own, which is asked for when a reader comes near the button
  const whole = $('.whole');
  let source = null;
  const text = () => source ??= new Promise((done, fail) => {
    globalThis.pylit.source = done;
    const script = make('script', { src: whole.dataset.source });
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
    const start = make('button', { type: 'button', className: 'start', textContent: place.dataset.start });
    place.append(start);
    place.addEventListener('click', () => {
      if (start.disabled) return;
      start.disabled = true;
      globalThis.pylit.living ??= new Promise((done, fail) => {
        const src = `${body.dataset.root}assets/live.js`;
        document.head.append(make('script', { src, onload: done, onerror: fail }));
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
  const side = $('.side');
  const wide = matchMedia('(min-width: 1100px)');
  // Where there is no room beside the page they open over it, from a button that says where one is
  const at = make('button', { type: 'button', className: 'at' });
  const title = make('b');
  const open = (on) => {
    root.classList.toggle('contents', on);
    at.setAttribute('aria-expanded', String(on));
    if (on) ($('a.now', side) || $('a', side))?.focus();
  };
  const named = document.title.replace(` · ${$('.home').textContent}`, '');
  const cut = () => {
    if (!side || !phone.matches) return;
    // At a word; where a language has no spaces, at a character
    const pen = document.createElement('canvas').getContext('2d');
    pen.font = getComputedStyle(title).font;
    const room = at.parentElement.clientWidth - 128;
    const parts = named.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|\s*[^\s\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu) || [];
    let last = parts.length;
    const shown = () => parts.slice(0, last).join('') + (last < parts.length ? ' …' : '');
    while (last > 1 && pen.measureText(shown()).width > room) last -= 1;
    title.textContent = shown();
  };
  if (side) {
    at.setAttribute('aria-label', `${$('summary', side).textContent}: ${named}`);
    at.append(title);
    at.addEventListener('click', () => open(!root.classList.contains('contents')));
    side.addEventListener('click', (event) => { if (event.target.closest('a')) open(false); });
    $('.crumbs').before(at);
    open(false);
    addEventListener('resize', cut);
  }
  const fold = () => {
    for (const list of $$('.side > details')) list.open = true;
    open(false);
  };
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

  // Search: its script comes when a reader touches the box
  const input = $('#pylit-search');
  const search = () => {
    for (const near of ['focus', 'pointerenter', 'input']) input.removeEventListener(near, search);
    document.head.append(make('script', { src: `${body.dataset.root}assets/search.js` }));
  };
  input.disabled = false;
  for (const near of ['focus', 'pointerenter', 'input']) input.addEventListener(near, search);

  // Keys, which a reader can switch off
  const rows = $$('.row');
  // Where a link puts a row; and the row that the page is on its way to
  const line = () => parseFloat(getComputedStyle(root).scrollPaddingTop) || 0;
  const top = (element) => element.getBoundingClientRect().top;
  let going = null;
  const go = (step) => {
    const here = line();
    let next = rows.indexOf(going);
    if (next < 0) {
      next = rows.findLastIndex((row) => top(row) < here + 4);
      // From the middle of a row the way back leads to its own beginning
      if (step > 0 || Math.abs(top(rows[next] ?? root) - here) < 4) next += step;
    } else next += step;
    const row = rows[Math.min(Math.max(next, 0), rows.length - 1)];
    if (!row) return;
    for (const other of rows) other.classList.toggle('now', other === row);
    going = row;
    row.scrollIntoView({ block: 'start' });
  };
  // Who moves the page is where it shows; but the last rows of a page cannot come up to the line
  const ended = () => scrollY + innerHeight > root.scrollHeight - 2;
  const moved = () => { going = null; };
  for (const way of ['wheel', 'touchmove']) addEventListener(way, moved, { passive: true });
  addEventListener('scrollend', () => { if (!ended()) moved(); });

  // Another language, at the same place
  const place = () => {
    if (scrollY < 100) return '';
    const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (named && top(named) >= 0 && top(named) < innerHeight) return location.hash;
    const row = rows.findLast((one) => one.id && top(one) < line() + 4);
    return row ? `#${encodeURIComponent(row.id)}` : '';
  };
  for (const link of $$('.languages a')) {
    for (const asked of ['click', 'auxclick', 'contextmenu']) {
      link.addEventListener(asked, () => { link.hash = place(); });
    }
  }
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
      tell();
      if (root.classList.contains('contents')) {
        open(false);
        at.focus();
      }
      return;
    }
    const typing = event.target.closest?.('input, textarea, select, dialog');
    if (typing || event.ctrlKey || event.metaKey || event.altKey || remember.get('keys') === 'off') return;
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  // What has to be measured comes last, when nothing more is added
  cut();
  follow();
  measure();
})();
