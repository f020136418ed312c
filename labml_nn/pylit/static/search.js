// The search. It comes when a reader touches the box, and its texts come after it.
(() => {
  'use strict';

  // ## Words
  // Letters and digits of any script but those without spaces, of which each character is a word
  const WORD = /[A-Za-z0-9_\u00b2\u00b3\u00b9\u00c0-\u1fff\u2070-\u2079\u207f-\u2089\u2090-\u209c\u20d0-\u20f0\u2c60-\u2dff\ua640-\uabff]+|[\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]/g;
  const SPACELESS = /^[\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]/;
  // What says how words hang together, and what asks, counts little
  const PARTICLE = /^[\u3040-\u309f]{1,3}$|^[的了吗呢是在]$|^(?:an?|the|of|to|in|on|at|by|for|from|with|and|or|is|are|was|be|do|does|did|has|have|can|should|it|its|my|i|you|your|this|that|what|which|how|when|where|who|many|much|there)$/;
  const GREEK = 'alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega'.split(' ');
  const MARKS = { '\u0304': 'bar', '\u0302': 'hat', '\u0303': 'tilde', '\u20d7': 'vec', '\u0307': 'dot' };
  const MARKED = /([a-z\u03b1-\u03c9])([\u0302-\u0304\u0307\u20d7])/g;
  const SUB = /[\u2080-\u2089\u2090-\u209c\u1d62-\u1d6a\u2c7c]+/g;
  const INDEX = /[\u00b2\u00b3\u00b9\u2070-\u209c\u1d62-\u1d6a\u2c7c]+/g;
  const greek = (text) => text.replace(/[\u03b1-\u03c9]/g, (c) => GREEK[c.charCodeAt(0) - 0x3b1]);

  // What a word of a text is found by: as a whole, and in parts. ᾱₜ is alpha_bar too, x₀ is x0.
  const fold = (raw) => {
    let text = raw;
    if (/[^\x00-\x7f]/.test(raw)) {
      // The indices of a symbol, where the symbol stands before
      if (!raw.replace(INDEX, '')) return { wholes: [], parts: [] };
      text = raw.replace(SUB, '_$&').normalize('NFKD');
      const lower = text.toLowerCase();
      const letters = lower.replace(/[\u0300-\u036f\u20d0-\u20f0]/g, '').replace(/_.*/, '');
      if (/[\u03b1-\u03c9]/.test(lower) || (letters.length === 1 && /[\u0302-\u0304]/.test(lower))) {
        const named = greek(lower.replace(MARKED, (_, c, mark) => `${c}_${MARKS[mark]}`).replace(/\p{M}/gu, ''));
        const base = greek(lower.replace(/_.*/, '').replace(MARKED, (_, c, mark) => `${c}_${MARKS[mark]}`).replace(/\p{M}/gu, ''));
        return { wholes: [...new Set([named, base])], parts: [greek(letters)].filter((p) => p !== base) };
      }
      text = text.replace(/[\u0300-\u036f]/g, '').normalize('NFC');
    }
    const snake = text.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
      .toLowerCase().replace(/^_+|_+$/g, '');
    const symbol = /^([a-z])_([a-z0-9])$/.exec(snake);
    if (symbol) return { wholes: [symbol[1] + symbol[2]], parts: [symbol[1]] };
    const parts = snake.split(/_+/);
    if (parts.length === 1) return { wholes: [snake], parts: [] };
    const wholes = [text.toLowerCase().replace(/^_+|_+$/g, ''), snake];
    const more = parts.length > 2 ? parts.slice(1).map((part, i) => `${parts[i]}_${part}`) : [];
    return { wholes: [...new Set(wholes)], parts: [...new Set([...parts, ...more])] };
  };
  // Steps and step, clipping and clip, sampling and samples
  const stem = (word) => {
    if (word.length < 4 || !/^[a-z]+$/.test(word)) return word;
    const cut = word.replace(/ies$/, 'y').replace(/(?:ing|ed|es|(?<!s)s)$/, '').replace(/e$/, '').replace(/([^aeiou])\1$/, '$1');
    return cut.length < 3 ? word : cut;
  };
  // Whether two words differ by one letter more, less, other, or exchanged
  const near = (a, b) => {
    if (Math.abs(a.length - b.length) > 1) return false;
    let i = 0;
    while (i < a.length && a[i] === b[i]) i += 1;
    const [x, y] = [a.slice(i), b.slice(i)];
    return x.slice(1) === y.slice(1) || x.slice(1) === y || x === y.slice(1)
      || (x[0] === y[1] && x[1] === y[0] && x.slice(2) === y.slice(2));
  };
  // TeX as it is typed: \bar{\alpha}_t is alpha_bar_t
  const untex = (text) => text
    .replace(/\\var(?=[a-z])/g, '\\')
    .replace(/\\(?:overline|wide)?(bar|hat|tilde|vec|dot|)\s*\{?\s*\\?([A-Za-z]+)\}?/g, (all, mark, letter) =>
      (mark || /^\\overline/.test(all)) && all !== `\\${letter}` ? `${letter}_${mark || 'bar'}` : all)
    .replace(/\\(?:math[a-z]+|bold[a-z]+|text[a-z]*|operatorname|[dt]?frac|sqrt|left|right|[bB]igg?)(?![a-z])/g, ' ')
    .replace(/(\w?)\\(?=[A-Za-z])/g, (_, before) => (before && before !== '_' ? `${before} ` : before))
    .replace(/[{}]/g, '');

  // ## The index
  const HEADING = 0, NAMES = 1, PARAMETERS = 2, ENGLISH = 3, PROSE = 4, CODE = 5, ABOVE = 6, SOURCE = 7;
  // How much it counts where a word stands, and how much the length of that text does
  const WEIGHT = [12, 8, 4, 9, 4, 1.5, 1, 3];
  const LENGTH = [0.6, 0.6, 0.3, 0.6, 0.4, 0.6, 0.3, 0.4];
  // And in which form: a whole word comes before a part of one
  const FORMS = { exact: 1, stem: 0.9, synonym: 0.75, part: 0.6, prefix: 0.5, pieces: 0.35, typo: 0.5, inside: 0.2 };

  const make = (pages, groups, language) => {
    const entries = [];
    const wholes = new Map(), parts = new Map();
    const texts = []; // [entry, field, text, first position]
    const owners = []; // by position, the text
    const sums = WEIGHT.map(() => 0), counts = WEIGHT.map(() => 0);
    let vocabulary = null;
    // A list of places for each word, and for each spelling the lists that it belongs to
    const spelt = new Map();
    const lists = (raw) => {
      const { wholes: all, parts: some } = fold(raw);
      const list = (map, token) => {
        if (!map.has(token)) map.set(token, []);
        return map.get(token);
      };
      return [...all.map((token) => list(wholes, token)), ...some.map((token) => list(parts, token))];
    };
    const add = (entry, field, text) => {
      if (!text) return;
      const first = owners.length;
      const number = texts.length;
      for (const raw of text.match(WORD) || []) {
        let into = spelt.get(raw);
        if (!into) spelt.set(raw, into = lists(raw));
        for (let i = 0; i < into.length; i += 1) into[i].push(owners.length);
        owners.push(number);
      }
      const length = owners.length - first;
      texts.push({ entry, field, text, first, length });
      sums[field] += length;
      counts[field] += 1;
      // Words of two texts are never neighbours
      owners.push(-1, -1, -1);
      vocabulary = null;
    };
    pages.forEach(([url, title, rows], page) => {
      for (const [anchor, heading, under, names, parameters, prose, english] of rows) {
        const entry = { url: `${url}#${anchor}`, page, title, heading, under, names: (names || '').split(' ').filter(Boolean), texts: [] };
        [heading, names, parameters, english, prose].forEach((text, field) => add(entry, field, text));
        add(entry, ABOVE, [title, under].filter(Boolean).join('\n'));
        entries.push(entry);
      }
    });
    const code = (shown) => {
      let number = 0;
      for (const rows of shown) for (const text of rows) add(entries[number++], CODE, text);
    };
    // What a translation was made from is found too, and leads to the translation
    const source = (shown) => {
      const there = new Map(entries.map((entry) => [entry.url, entry]));
      const same = new Set(texts.filter((text) => text.field === PROSE).map((text) => text.text));
      for (const [url, , rows] of shown) {
        for (const [anchor, , , , , prose] of rows) {
          const entry = there.get(`${url}#${anchor}`);
          if (entry && prose && !same.has(prose)) add(entry, SOURCE, prose);
        }
      }
    };

    // ## Looking
    const words = () => {
      if (!vocabulary) {
        const all = [...new Set([...wholes.keys(), ...parts.keys()])].filter((token) => !SPACELESS.test(token)).sort();
        const stems = new Map();
        for (const token of all) {
          const key = stem(token);
          if (!stems.has(key)) stems.set(key, []);
          stems.get(key).push(token);
        }
        vocabulary = { all, stems };
      }
      return vocabulary;
    };
    const starting = (begin) => {
      const { all } = words();
      let low = 0, high = all.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (all[middle] < begin) low = middle + 1; else high = middle;
      }
      const found = [];
      while (low < all.length && all[low].startsWith(begin) && found.length < 300) found.push(all[low++]);
      return found;
    };
    const at = (token) => wholes.get(token) || [];
    const either = (token) => [...at(token), ...(parts.get(token) || [])];
    // Where words stand one after the other
    const phrase = (tokens) => {
      const sets = tokens.slice(1).map((token) => new Set(at(token)));
      return at(tokens[0]).filter((p) => sets.every((set, i) => set.has(p + i + 1)));
    };
    const spread = (starts, length) => starts.flatMap((p) => Array.from({ length }, (_, i) => p + i));

    const tokens = (text) => (text.match(WORD) || []).map((raw) => fold(raw).wholes[0]);
    const variants = groups.map(([same, triggers]) => ({
      same: same.map(tokens).filter((t) => t.length && !(t.length === 1 && /^\w$/.test(t[0]))),
      triggers: (triggers || []).map(tokens),
    }));
    const contains = (all, some) => {
      for (let i = 0; i + some.length <= all.length; i += 1) {
        if (some.every((token, k) => all[i + k] === token || stem(all[i + k]) === stem(token))) return i;
      }
      return -1;
    };
    const segmenter = globalThis.Intl?.Segmenter && new Intl.Segmenter(language, { granularity: 'word' });
    // Chinese and Japanese have no spaces: a dictionary says where words end
    const segments = (run) => {
      if (!segmenter) return [run];
      const found = [];
      let alone = false;
      for (const { segment } of segmenter.segment(run)) {
        // Characters that the dictionary leaves alone belong together
        if (segment.length === 1 && alone) found[found.length - 1] += segment;
        else found.push(segment);
        alone = segment.length === 1;
      }
      return found;
    };

    // The words of a question: each with its forms, and where these stand
    const ask = (question) => {
      const text = untex(question.replace(/[\uff00-\uffef]+/g, (wide) => wide.normalize('NFKC')))
        // A number in brackets is how equations are called
        .replace(/^\s*\((\d+)\)\s*$/, 'eq $1');
      const asked = [];
      for (const [run] of text.matchAll(/[\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+|[^\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+/g)) {
        if (SPACELESS.test(run)) for (const part of segments(run)) asked.push({ run: [...part], weak: PARTICLE.test(part), forms: {} });
        else for (const raw of (run.match(WORD) || []).filter((found) => fold(found).wholes.length)) asked.push({ token: fold(raw).wholes[0], parts: fold(raw).parts, weak: PARTICLE.test(raw.toLowerCase()), forms: {} });
      }
      const flat = [], owner = [];
      for (const one of asked) for (const token of one.run || [one.token]) { flat.push(token); owner.push(one); }
      for (const { same, triggers } of variants) {
        const whole = triggers.find((t) => t.length === flat.length && contains(flat, t) === 0);
        for (const trigger of whole ? [whole] : same) {
          const begin = contains(flat, trigger);
          if (begin < 0) continue;
          const meant = new Set(owner.slice(begin, begin + trigger.length));
          for (const other of same) {
            if (other === trigger) continue;
            const places = spread(phrase(other), other.length);
            for (const one of meant) (one.forms.synonym ||= []).push(...places);
          }
        }
      }
      asked.forEach((one, i) => { form(one, i === asked.length - 1 && !/\s$/.test(question)); });
      return asked;
    };
    const form = (one, last) => {
      const { token, run, forms } = one;
      if (run) {
        forms.exact = spread(phrase(run), run.length);
        if (!forms.exact.length && run.length > 2) {
          forms.pieces = run.slice(1).flatMap((c, i) => spread(phrase([run[i], c]), 2));
        }
        return;
      }
      forms.exact = at(token);
      if (one.weak) return;
      forms.part = parts.get(token) || [];
      const others = (words().stems.get(stem(token)) || []).filter((other) => other !== token);
      forms.stem = others.flatMap(at);
      forms.part = forms.part.concat(others.flatMap((other) => parts.get(other) || []));
      const number = /^\d+$/.test(token);
      if (!number && (token.length > 2 || (last && token.length > 1))) {
        const shown = starting(token).filter((other) => other !== token);
        forms.prefix = shown.flatMap(either);
      }
      if (Object.values(forms).some((places) => places.length) || number) return;
      if (one.parts.length) {
        forms.part = one.parts.flatMap(either);
        return;
      }
      const { all } = words();
      if (token.length > 2) forms.inside = all.filter((other) => other.includes(token)).flatMap(either);
      if (!forms.inside?.length && token.length > 3) forms.typo = all.filter((other) => near(token, other)).flatMap(either);
    };

    // One word of a question in all entries: the best of its forms, each counted by its places
    const rate = (one) => {
      const rated = new Map();
      for (const [name, places] of Object.entries(one.forms)) {
        const found = new Map();
        for (const place of places) {
          const { entry, field, length } = texts[owners[place]];
          const average = sums[field] / counts[field];
          const counted = 1 / (1 - LENGTH[field] + LENGTH[field] * length / average);
          let had = found.get(entry);
          if (!had) found.set(entry, had = { counts: WEIGHT.map(() => 0), places: [] });
          had.counts[field] += counted;
          had.places.push(place);
        }
        for (const [entry, { counts: times, places: here }] of found) {
          // The more often the better, and less each time: no prose outweighs a heading
          const score = FORMS[name] * times.reduce((sum, n, field) => sum + WEIGHT[field] * n / (n + 1), 0);
          const had = rated.get(entry);
          if (!had) rated.set(entry, { score, places: here });
          else { had.score = Math.max(had.score, score); had.places = had.places.concat(here); }
        }
      }
      one.rated = rated;
      one.worth = Math.log(1 + (entries.length + 0.5) / (rated.size + 0.5)) * (one.weak ? 0.25 : 1);
    };
    // The shortest stretch of one text that has most of the words
    const stretch = (hit, widest, wanted = () => true) => {
      const all = hit.found.flatMap(({ places }, n) => places.map((place) => [place, n])).sort((a, b) => a[0] - b[0]);
      let best = null;
      const inside = new Map();
      let begin = 0;
      for (const [place, n] of all) {
        if (!wanted(texts[owners[place]])) continue;
        inside.set(n, place);
        begin = Math.min(...[...inside.values()]);
        for (const [m, p] of inside) if (owners[p] !== owners[place] || place - p > widest) inside.delete(m);
        begin = Math.min(...inside.values());
        const length = place - begin + 1;
        if (!best || inside.size > best.size || (inside.size === best.size && length < best.length)) {
          best = { size: inside.size, length, begin, end: place };
        }
      }
      return best;
    };
    const find = (question, most = 12) => {
      const asked = ask(question);
      asked.forEach(rate);
      const whole = asked.reduce((sum, one) => sum + one.worth, 0);
      const hits = new Map();
      for (const one of asked) {
        for (const [entry, { score, places }] of one.rated) {
          let hit = hits.get(entry);
          if (!hit) hits.set(entry, hit = { entry, score: 0, worth: 0, found: [] });
          hit.score += one.worth * score;
          hit.worth += one.worth;
          hit.found.push({ one, places });
        }
      }
      let all = [...hits.values()];
      // All words, or as many as any entry has; and what comes early in the book is for most readers
      const reached = Math.max(0, ...all.map((hit) => hit.worth));
      all = all.filter((hit) => hit.worth >= 0.4 * reached);
      for (const hit of all) {
        hit.score *= (hit.worth / whole) ** 2 * (1.12 - 0.12 * hit.entry.page / pages.length);
        hit.score *= 1 + 0.4 * titled(hit, asked);
      }
      all.sort((a, b) => b.score - a.score);
      for (const hit of asked.length > 1 ? all.slice(0, 80) : []) {
        const best = stretch(hit, 40);
        if (best.size > 1) hit.score *= 1 + 0.8 * ((best.size - 1) / (asked.length - 1)) * best.size / Math.max(best.length, best.size);
      }
      all.sort((a, b) => b.score - a.score);
      return grouped(all, most);
    };
    // How much of a heading, or of the name of a definition, was asked for
    const titled = (hit, asked) => {
      const { entry } = hit;
      const places = new Set(hit.found.flatMap((f) => f.places));
      let best = 0;
      for (const text of texts_of(entry)) {
        if (text.field !== HEADING && text.field !== NAMES) continue;
        let lit = 0;
        for (let p = text.first; p < text.first + text.length; p += 1) lit += places.has(p);
        text.words ??= (text.text.match(WORD) || []).filter((raw) => !PARTICLE.test(raw.toLowerCase())).length || 1;
        best = Math.max(best, Math.min(lit / text.words, 1) * hit.found.length / asked.length);
      }
      return best;
    };
    let by_entry = null;
    const texts_of = (entry) => {
      if (by_entry?.size !== texts.length) {
        by_entry = { size: texts.length, map: new Map() };
        for (const text of texts) {
          if (!by_entry.map.has(text.entry)) by_entry.map.set(text.entry, []);
          by_entry.map.get(text.entry).push(text);
        }
      }
      return by_entry.map.get(entry) || [];
    };
    const label = (entry) => entry.heading || entry.names[0] || entry.under || entry.title;
    // A place is shown once, and one page does not take all the room
    const grouped = (all, most) => {
      const seen = new Set(), perPage = new Map();
      const first = [], later = [];
      for (const hit of all) {
        const key = `${hit.entry.page}\n${label(hit.entry)}`;
        if (seen.has(key)) continue;
        seen.add(key);
        const n = (perPage.get(hit.entry.page) || 0) + 1;
        perPage.set(hit.entry.page, n);
        (n > 4 ? later : first).push(hit);
      }
      return { count: seen.size, hits: [...first, ...later].slice(0, most).map(show) };
    };

    // ## What is shown of a hit: pieces of text, and whether they are lit
    const pieces = (text, from, to, lit) => {
      const out = [];
      let end = from;
      let index = -1;
      for (const found of text.text.matchAll(WORD)) {
        index += 1;
        if (found.index < from || found.index + found[0].length > to || !lit.has(text.first + index)) continue;
        if (found.index > end) out.push([text.text.slice(end, found.index), false]);
        const last = out[out.length - 1];
        if (last?.[1] && found.index === end) last[0] += found[0]; else out.push([found[0], true]);
        end = found.index + found[0].length;
      }
      if (end < to) out.push([text.text.slice(end, to), false]);
      return out.map(([said, is]) => [said.replace(/\s+/g, ' '), is]);
    };
    const show = (hit) => {
      const { entry } = hit;
      const mine = texts_of(entry);
      const said = hit.found.filter((f) => !f.one.weak);
      if (said.length) hit.found = said;
      const lit = new Set(hit.found.flatMap((f) => f.places));
      const title = label(entry);
      const heading = entry.heading && mine.find((text) => text.field === HEADING);
      const named = !entry.heading && entry.names[0] && mine.find((text) => text.field === NAMES);
      const titleText = heading || named;
      const where = [entry.title, entry.under].filter((t, i, all) => t && t !== title && all.indexOf(t) === i);
      return {
        url: entry.url,
        score: hit.score,
        title: titleText ? pieces(titleText, 0, title.length, lit) : [[title, false]],
        names: entry.heading ? entry.names.slice(0, 1) : [],
        where: where.join(' · '),
        ...context(hit, mine, lit),
      };
    };
    const context = (hit, mine, lit) => {
      const best = stretch(hit, 30, (t) => t.field === PROSE) || stretch(hit, 30, (t) => t.field === SOURCE) || stretch(hit, 30, (t) => t.field === CODE) || stretch(hit, 30, (t) => t.field === PARAMETERS);
      const text = best ? texts[owners[best.begin]] : mine.find((t) => t.field === PROSE);
      if (!text) return { context: [], code: false };
      const found = [...text.text.matchAll(WORD)];
      const begin = best ? found[best.begin - text.first].index : 0;
      const end = best ? found[best.end - text.first].index + found[best.end - text.first][0].length : 0;
      // A line of code is a line; of prose there is some before and some after
      const dense = SPACELESS.test(text.text[begin] || '') || /[\u3040-\u9fff]{8}/.test(text.text);
      const [before, after] = dense ? [18, 55] : [45, 120];
      let from = begin - before, to = Math.max(end, begin) + after;
      const block = text.text.lastIndexOf('\n', begin - 1) + 1;
      if (text.field === CODE || from < block) from = block;
      if (text.field === CODE) to = (text.text.indexOf('\n', end) + 1 || text.text.length + 1) - 1;
      if (from > block && !dense) from = text.text.indexOf(' ', from) + 1 || from;
      const within = (i) => /\w\w/.test(text.text.slice(i - 1, i + 1));
      while (dense && from > block && within(from)) from -= 1;
      while (dense && to < text.text.length && within(to)) to += 1;
      from = Math.min(from, begin);
      if (to < text.text.length && text.field !== CODE && !dense) to = Math.max(text.text.lastIndexOf(' ', to), end);
      to = Math.min(to, text.text.length);
      const out = pieces(text, from, to, lit);
      if (from > block) out.unshift(['… ', false]);
      if (to < text.text.length && text.field !== CODE) out.push([' …', false]);
      return { context: out, code: text.field === CODE };
    };
    return { find, code, source, entries };
  };
  globalThis.pylit.search = make;
  if (!globalThis.document) return;
  const sheet = document.createElement('link');
  Object.assign(sheet, { rel: 'stylesheet', href: document.currentScript.src.replace(/js$/, 'css') });
  document.head.append(sheet);

  // ## The box
  const $ = (selector) => document.querySelector(selector);
  const address = document.body.dataset.search;
  const base = address.replace(/search\.js$/, '');
  const input = $('#pylit-search');
  const results = $('#pylit-results');
  const create = (name, text = '', more = {}) => Object.assign(document.createElement(name), { textContent: text }, more);
  const list = create('div', '', { id: 'pylit-found' });
  const count = create('p');
  results.append(count, list);
  list.setAttribute('role', 'listbox');
  list.setAttribute('aria-label', input.getAttribute('aria-label'));
  const set = (element, values) => { for (const [name, value] of Object.entries(values)) element.setAttribute(name, value); };
  set(input, { role: 'combobox', 'aria-autocomplete': 'list', 'aria-haspopup': 'listbox', 'aria-controls': list.id, 'aria-expanded': 'false' });

  let engine = null, say = {};
  let active = -1;
  const lit = (into, said) => {
    for (const [text, is] of said) into.append(is ? create('mark', text) : text);
    return into;
  };
  const option = (hit, i) => {
    const link = create('a', '', { href: base + hit.url, id: `pylit-found-${i}`, tabIndex: -1 });
    set(link, { role: 'option', 'aria-selected': 'false' });
    const title = lit(create('b'), hit.title);
    for (const name of hit.names) title.append(' ', create('code', name));
    link.append(title);
    if (hit.where) link.append(create('small', hit.where));
    if (hit.context.length) link.append(lit(create(hit.code ? 'code' : 'span'), hit.context));
    return link;
  };
  const show = (open) => {
    results.hidden = !open;
    input.setAttribute('aria-expanded', String(open && list.children.length > 0));
    choose(-1);
  };
  const choose = (i) => {
    list.children[active]?.setAttribute('aria-selected', 'false');
    active = i;
    const chosen = list.children[i];
    if (!chosen) { input.removeAttribute('aria-activedescendant'); return; }
    chosen.setAttribute('aria-selected', 'true');
    chosen.scrollIntoView({ block: 'nearest' });
    input.setAttribute('aria-activedescendant', chosen.id);
  };
  const look = () => {
    const question = input.value;
    if (!engine || !question.trim()) { show(false); return; }
    const { count: all, hits } = engine.find(question);
    list.replaceChildren(...hits.map(option));
    list.hidden = !hits.length;
    count.textContent = hits.length ? say.found.replace('{n}', all) : say.nothing;
    $('#pylit-status').textContent = count.textContent;
    show(true);
  };
  const again = () => { if (!results.hidden && active < 0) look(); };
  const bring = (source) => {
    const script = create('script', '', { src: source });
    // What could not be had is asked for again at the next touch
    script.onerror = () => { script.remove(); input.addEventListener('focus', () => bring(source), { once: true }); };
    document.head.append(script);
  };
  const up = document.documentElement.lang === 'en' ? '' : '../';
  Object.assign(globalThis.pylit, {
    index: (pages, groups, texts) => {
      if (engine) {
        engine.source(pages);
        again();
        return;
      }
      say = texts;
      engine = make(pages, groups, document.documentElement.lang);
      look();
      bring(`${base}${up}search-code.js`);
    },
    code: (shown) => {
      engine.code(shown);
      again();
      // The English text is that of the English pages, and comes last
      if (up) bring(`${base}${up}search.js`);
    },
  });
  bring(address);

  input.addEventListener('input', look);
  input.addEventListener('focus', () => { if (input.value && results.hidden) look(); });
  input.addEventListener('keydown', (event) => {
    // The Enter that ends a composition chooses characters, and not a result
    if (event.isComposing) return;
    const many = list.children.length;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && many) {
      event.preventDefault();
      if (results.hidden) show(true);
      choose((active + 1 + step + many + 1) % (many + 1) - 1);
    } else if (event.key === 'Enter' && !results.hidden) {
      const { ctrlKey, metaKey, shiftKey } = event;
      (list.children[active] || list.children[0])?.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, ctrlKey, metaKey, shiftKey }));
    } else if (event.key === 'Tab') {
      show(false);
    } else if (event.key === 'Escape' && !results.hidden) {
      // The first closes the list, and the next empties the box, as browsers do
      event.preventDefault();
    }
  });
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') show(false); });
  document.addEventListener('click', (event) => {
    if (!event.target.closest('.search')) show(false);
    if (event.target.closest('#pylit-found a')) { show(false); input.blur(); }
  });
})();
