// What a mark opens. Asked for when a reader opens one: see proofs.js.
(() => {
  'use strict';
  const site = new URL('..', document.currentScript.src).href;
  const language = document.documentElement.lang;
  const pages = {};
  const loading = new Map();
  let say = {};
  globalThis.pylitProofs = {
    words: (said) => { say = said; },
    tests: (url, tests) => { pages[site + encodeURI(url)] = tests; },
    open: (mark) => ready(mark).then((told) => open(mark, told)),
  };
  // A page that was opened from a file may not fetch, but it may have scripts
  const load = (address) => {
    if (!loading.has(address)) {
      loading.set(address, new Promise((done, fail) => {
        const sheet = /\.css$/.test(address);
        const part = Object.assign(document.createElement(sheet ? 'link' : 'script'),
          sheet ? { rel: 'stylesheet', href: address } : { src: address });
        part.onload = done;
        part.onerror = () => { loading.delete(address); fail(new Error(address)); };
        document.head.append(part);
      }));
    }
    return loading.get(address);
  };
  const words = `${site}${language === 'en' ? '' : `${language}/`}proofs.js`;
  const ready = (mark) => {
    const [page] = mark.href.split('#');
    return Promise.all([load(`${site}assets/panel.css`), load(words), load(page.replace(/\.html$/, '.proofs.js'))])
      .then(() => pages[page]?.[decodeURIComponent(mark.hash.slice(1))]);
  };

  const put = (tag, text, ...inside) => {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    element.append(...inside);
    return element;
  };
  const fill = (text, said) => text.replace(/\{(\w+)\}/g, (_, key) => said[key]);
  const named = (tag, name, text, ...inside) => Object.assign(put(tag, text, ...inside), { className: name });
  const table = (rows) => {
    // A list of facts for each comparison: a table of five columns does not fit a phone
    const list = named('div', 'compared');
    for (const [what, computed, expected, difference, allowed, n] of rows) {
      const facts = document.createElement('dl');
      const most = fill(allowed, { y: `|${say.expected.toLowerCase()}|` });
      const pairs = [['computed', computed], ['expected', expected], ['difference', difference], ['allowed', most]];
      for (const [key, value] of pairs) facts.append(put('div', '', put('dt', say[key]), put('dd', value)));
      const title = put('h3', what);
      if (n > 1) title.append(put('small', fill(say.values, { n: n.toLocaleString(language) })));
      list.append(title, facts);
    }
    return list;
  };
  const about = (told) => {
    const lines = [];
    if (told.ran) {
      lines.push(`${fill(say.ran, told.ran)} ${fill(told.ran.n > 1 ? say.cases : say.one, told.ran)}.`);
    } else lines.push(say.never);
    if (told.killed.length) lines.push(fill(say.killed, { n: told.killed[0], of: told.killed[1] }));
    return lines.map((line) => put('p', line));
  };
  const panel = document.createElement('dialog');
  panel.className = 'proof';
  const open = (mark, told) => {
    const close = put('button', say.close);
    close.type = 'button';
    close.addEventListener('click', () => panel.close());
    const title = put('h2', told.title);
    title.id = 'pylit-proof';
    const state = named('span', `claim ${told.verdict.replace(' ', '-')}`, say[told.verdict]);
    const code = put('code');
    code.innerHTML = told.code;
    const block = named('pre', 'block', '', code);
    const whole = put('a', say.whole);
    whole.href = mark.href;
    const facts = put('dl');
    for (const [what, text] of told.facts) facts.append(put('div', '', put('dt', what), put('dd', text)));
    const body = named('div', 'inside', '', ...about(told), ...told.cases.map((text) => put('p', text)));
    if (told.rows.length) body.append(table(told.rows));
    if (told.facts.length) body.append(facts);
    body.append(put('h3', say.code), named('p', 'path', told.test), block, put('p', '', whole));
    // What scrolls must be reachable by keyboard
    for (const [cell, name] of [[body, told.title], [block, say.code]]) {
      cell.tabIndex = 0;
      cell.setAttribute('role', 'group');
      cell.setAttribute('aria-label', name);
    }
    panel.setAttribute('aria-labelledby', title.id);
    panel.replaceChildren(named('header', '', '', put('p', '', state), close, title), body);
    if (!panel.isConnected) document.body.append(panel);
    panel.showModal();
    close.focus({ focusVisible: false });
    body.scrollTop = 0;
  };
  // Its own edge is the panel; what is around it lets go
  panel.addEventListener('click', (event) => { if (event.target === panel) panel.close(); });
})();
