// The same formula with fewer elements. KaTeX builds boxes as TeX does, and half of the elements
// of a page of mathematics are boxes without a look of their own: struts, and wrappers that only
// name what they hold. A strut can be drawn by the style sheet (`::before`, its measures in
// variables), a wrapper without rules can go. Whatever is not understood here stays as it is.
// What is left is named shortly: the names of `short.json` hold for KaTeX's style sheet too.
'use strict';

const SHORT = require('./short.json');

const TOKEN = /<(\/?)([\w:]+)([^>]*?)(\/?)>|[^<]+/g;

// ## A tree, and back
const parse = (html) => {
  const root = { tag: '', text: '', kids: [] };
  const open = [root];
  for (const [whole, end, tag, text, alone] of html.matchAll(TOKEN)) {
    if (!tag) open.at(-1).kids.push(whole);
    else if (end) open.pop();
    else {
      const node = { tag, text, kids: [] };
      open.at(-1).kids.push(node);
      if (!alone) open.push(node);
    }
  }
  return root;
};

const write = (node) => {
  if (typeof node === 'string') return node;
  const inner = node.kids.map(write).join('');
  return node.tag ? `<${node.tag}${node.text}>${inner}</${node.tag}>` : inner;
};

// The boxes inside of a formula. `<b>` has no look of its own here; a value needs no quotes
const shorten = (node) => {
  for (const kid of node.kids) if (!text(kid)) shorten(kid);
  if (node.tag !== 'span' || OUTSIDE.some((name) => is(node, name))) return;
  // A reference to another equation is a link, whose address the page knows
  const ref = get(node, 'data-ref');
  node.tag = ref ? 'a' : 'b';
  if (ref) node.text = ` data-ref="${ref}"`;
  const names = classes(node).map((name) => SHORT[name] ?? name);
  if (names.length) node.text = node.text.replace(/ class="[^"]*"/, ` class="${names.join(' ')}"`);
  node.text = node.text.replace(/( (?:class|style)=)"([^"'`=<>\s]+)"/g, '$1$2');
};

// ## What an element says of itself
const get = (node, name) => new RegExp(` ${name}="([^"]*)"`).exec(node.text)?.[1] ?? '';
const classes = (node) => get(node, 'class').split(' ').filter(Boolean);
const is = (node, name) => node.tag === 'span' && classes(node).includes(name);
const text = (node) => typeof node === 'string';
// Known to the pages by these names
const OUTSIDE = ['katex', 'katex-display', 'katex-html', 'katex-error'];

const put = (node, name, value) => {
  const rest = node.text.replace(new RegExp(` ${name}="[^"]*"`), '');
  node.text = value ? `${rest} ${name}="${value}"` : rest;
};

const measure = (node, name) => new RegExp(`(?:^|;)${name}:([^;]*)`).exec(get(node, 'style'))?.[1];

// ## Struts
//
// The first thing in a box, and empty: it only has a height.
const strut = (node, above) => {
  const first = node.kids[0];
  if (!first || text(first) || first.kids.length || first.tag !== 'span') return;
  let said = '';
  if (is(first, 'pstrut') && above && is(above, 'vlist')) said = `--p:${measure(first, 'height')}`;
  if (is(first, 'katex-strut') && is(node, 'katex-base')) {
    said = `--h:${measure(first, 'height')};--v:${measure(first, 'vertical-align') ?? 0}`;
  }
  if (!said || said.includes('undefined')) return;
  const style = get(node, 'style');
  put(node, 'style', style ? `${said};${style}` : said);
  node.kids.shift();
};

// ## Depths
//
// The last row of a pile is an empty cell that is as high as the pile is deep, and the end of its
// first row a cell of 2px that browsers need for the baseline. The style sheet draws both.
const depth = (node) => {
  const last = node.kids.at(-1);
  if (!is(node, 'vlist-t2') || node.kids.length !== 2 || text(last) || !is(last, 'vlist-r')) return;
  const [cell, more] = last.kids;
  if (more || text(cell) || get(cell, 'class') !== 'vlist' || cell.kids.length > 1) return;
  const [inside] = cell.kids;
  const empty = !inside || (!text(inside) && !inside.kids.length && !inside.text.trim());
  const said = /^height:([^;]*);?$/.exec(get(cell, 'style'));
  if (!empty || !said || get(node, 'style')) return;
  put(node, 'style', `--d:${said[1]}`);
  node.kids.pop();
  const first = node.kids[0];
  if (is(first, 'vlist-r') && is(first.kids.at(-1), 'vlist-s')) first.kids.pop();
  else put(node, 'style', `--d:${said[1]};--s:none`);
};

// ## Wrappers
//
// These classes have no rule in KaTeX's style sheet, nor in ours.
const BARE = new Set(['mord', 'mtight', 'mbin', 'mrel', 'mopen', 'mclose', 'mpunct', 'minner', 'enclosing']);

const bare = (node) => !text(node) && node.tag === 'span' && node.kids.length &&
  !node.text.replace(/ class="[^"]*"/, '') && classes(node).every((name) => BARE.has(name));

// Rules for the children of these; and letters that meet in one text would be set as one word
const ROOMS = ['vlist', 'vlist-r', 'mfrac', 'katex-html', 'katex-inner', 'katex-fix', 'sqrt',
  'delim-size1', 'delim-size4', 'katex-accent', 'op-limits', 'katex-stretchy', 'katex-display'];

const unwrap = (node, above) => {
  if (node.tag !== 'span' || ROOMS.some((room) => is(node, room)) || (above && is(above, 'vlist'))) return;
  const kids = node.kids;
  for (let i = kids.length - 1; i >= 0; i--) {
    if (!bare(kids[i])) continue;
    const inside = kids[i].kids;
    const meets = (one, two) => one !== undefined && text(one) && text(two);
    if (meets(kids[i - 1], inside[0]) || meets(kids[i + 1], inside.at(-1))) continue;
    kids.splice(i, 1, ...inside);
  }
};

// A symbol's mark, and the box of scripts, need no element of their own around a single one
const merge = (node) => {
  const only = node.kids.length === 1 && !text(node.kids[0]) && node.kids[0];
  if (!only || only.tag !== 'span' || get(only, 'data-sym')) return;
  const symbol = get(node, 'data-sym');
  if (symbol && is(node, 'enclosing')) {
    Object.assign(node, only);
    node.text = ` data-sym="${symbol}"${node.text}`;
  } else if (get(node, 'class') === 'msupsub' && !get(node, 'style') && is(only, 'vlist-t')) {
    Object.assign(node, only);
    put(node, 'class', `msupsub ${get(node, 'class')}`);
  }
};

const tidy = (node) => {
  const kept = classes(node).filter((name) => !BARE.has(name));
  if (node.tag === 'span' && get(node, 'class') && kept.length < classes(node).length) {
    put(node, 'class', kept.join(' '));
  }
};

// No margin is what there is without a word, and a number needs no zero before its point
const shorter = (style, above) => {
  const script = above && is(above, 'vlist') && style.startsWith('--p');
  const said = style.split(';').filter((one) => one && one !== 'margin-right:0em' && !(script && one === 'margin-left:0em'));
  // Nearly every box of a pile hangs from a strut of one of two heights
  const hung = said.join(';').replace(/^--p:3em;top:/, '--t:').replace(/^--p:2.7em;top:/, '--u:');
  return hung.replace(/(?<=[:-])0\.(?=\d)/g, '.');
};

// What stands in a pile hangs from struts of its own: the pile must only be high enough
const higher = (node) => {
  const height = /^height:(\d*\.\d+)em$/.exec(get(node, 'style'))?.[1];
  if (is(node, 'vlist') && height) put(node, 'style', `height:${Math.ceil(height * 20) / 20}em`);
};

const lighten = (node, above) => {
  for (const kid of node.kids) if (!text(kid)) lighten(kid, node);
  if (node.tag === 'span') {
    strut(node, above);
    depth(node);
    higher(node);
    merge(node);
  }
  unwrap(node, above);
  if (!above || !node.tag) return;
  tidy(node);
  if (get(node, 'style')) put(node, 'style', shorter(get(node, 'style'), above));
  // Three, four and five eighteenths of an em: nearly every space is one of these
  const space = ['.17', '.22', '.28'].indexOf(/^margin-right:(.*)em$/.exec(get(node, 'style'))?.[1]);
  if (get(node, 'class') === 'mspace' && space >= 0) node.text = ` class="sp${space + 3}"`;
};

// ## Where a long formula breaks
//
// KaTeX ends a box behind every relation and binary operator that stands outside of braces. A
// reader would rather break between the sides of an equation than inside of one, and inside of
// brackets last. So what belongs together becomes one box, which is broken only if it is wider
// than a line.
const letters = (node) => text(node) ? node : node.kids.map(letters).join('');

// A bracket of a given size (`\Big[`) is a letter for KaTeX, and known by its look alone
const BRACKETS = { '(': 'mopen', '[': 'mopen', '{': 'mopen', '⟨': 'mopen',
  ')': 'mclose', ']': 'mclose', '}': 'mclose', '⟩': 'mclose' };
const roles = (node) => {
  const own = classes(node).filter((name) => ['mopen', 'mclose', 'mrel', 'mbin'].includes(name));
  const sized = !own.length && is(node, 'delimsizing') && BRACKETS[letters(node).trim()];
  return sized ? [sized] : own;
};
const names = (node) => text(node) ? []
  : [...roles(node), ...(is(node, 'katex-base') || is(node, 'enclosing') ? node.kids.flatMap(names) : [])];
const deeper = (depth, node) =>
  names(node).reduce((now, name) => now + ({ mopen: 1, mclose: -1 }[name] ?? 0), depth);

const boxed = (parts) => parts.length < 2 ? parts
  : [{ tag: 'span', text: ' class="together"', kids: parts }];

// A wide space stands between an equation and its condition. A line may break there too
const isWide = (node) => is(node, 'mspace') && measure(node, 'margin-right') === '2em';
const pieces = (bases) => {
  let depth = 0;
  return bases.flatMap((base) => {
    const [first, ...kids] = base.kids;
    const found = [[]];
    kids.forEach((kid, i) => {
      depth = deeper(depth, kid);
      // Of several the last one, as blanks that follow each other are one
      if (depth <= 0 && isWide(kid) && !(kids[i + 1] && isWide(kids[i + 1]))) found.push([]);
      else found.at(-1).push(kid);
    });
    return found.flatMap((part, i) => [
      ...(i ? [{ tag: 'span', text: ' class="wide"', kids: [' '] }] : []),
      ...(part.length || !i ? [{ ...base, kids: [first, ...part] }] : [])]);
  });
};

const breaks = (node) => {
  for (const kid of node.kids) if (!text(kid)) breaks(kid);
  if (!is(node, 'katex-html') || !node.kids.every((kid) => is(kid, 'katex-base'))) return;
  const bases = pieces(node.kids);
  if (bases.length < 3) return;
  let depth = 0;
  let [sides, side, inside] = [[], [], []];
  const clauses = [];
  const end = () => {
    const left = [...side, ...boxed(inside)];
    clauses.push([...sides, ...(sides.length ? boxed(left) : left)]);
    [sides, side, inside] = [[], [], []];
  };
  for (const base of bases) {
    if (is(base, 'wide')) {
      end();
      clauses.push([base]);
      continue;
    }
    inside.push(base);
    depth = deeper(depth, base);
    if (depth > 0) continue;
    side.push(...boxed(inside));
    inside = [];
    if (names(base).at(-1) === 'mrel') {
      sides.push(...boxed(side));
      side = [];
    }
  }
  end();
  node.kids = clauses.length > 1 ? clauses.flatMap(boxed) : clauses[0];
};

// ## MathML
//
// A row of one is that one, and `<math>` is a row itself.
const rows = (node) => {
  for (const kid of node.kids) if (!text(kid)) rows(kid);
  node.kids = node.kids.flatMap((kid) => {
    const row = !text(kid) && kid.tag === 'mrow' && !kid.text.trim();
    return row && (kid.kids.length === 1 || (node.tag === 'math' && node.kids.length === 1)) ? kid.kids : [kid];
  });
};

const through = (...walks) => (html) => {
  const tree = parse(html);
  for (const walk of walks) walk(tree);
  return write(tree);
};

module.exports = { html: through(breaks, lighten, shorten), mathml: through(rows) };
