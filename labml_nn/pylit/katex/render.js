// Formulas come in as JSON lines and go out as JSON lines, in order: {tex, marked, display}
// becomes {html} or {error, position}. One process serves a whole build.
'use strict';
const katex = require(process.argv[2]);
const lighter = require('./lighter.js');
const { macros } = JSON.parse(process.argv[3]);

// `\htmlData` is how a symbol learns its name in code, and a reference which one it is. Nothing else may write attributes or
// addresses, and its value can only be one of ours.
const trust = (context) => {
  const [[name, value] = [], ...more] = Object.entries(context.attributes ?? {});
  const known = { 'data-sym': /^[A-Za-z_]\w*$/, 'data-ref': /^\d+$/ };
  return context.command === '\\htmlData' && !more.length && Boolean(known[name]?.test(value));
};

const strict = (code) => (code === 'htmlExtension' ? 'ignore' : 'error');

const set = (tex, display, output) =>
  katex.renderToString(tex, {
    displayMode: display, output, trust, strict, throwOnError: true,
    maxSize: 40, maxExpand: 1000, macros: { ...macros },
  });

// What the reader sees must not change because a symbol was marked: the marks are taken out
// again, and where anything else differs, the plain formula stands.
const unmark = (html) => {
  const open = [];
  return html.replace(/<span class="enclosing" data-sym="\w+">|<span\b[^>]*>|<\/span>/g, (tag) => {
    if (tag === '</span>') return open.pop() ? '' : tag;
    const ours = tag.startsWith('<span class="enclosing" data-sym=');
    open.push(ours);
    return ours ? '' : tag;
  });
};

// A formula is mostly heights. What is rounded away here is less than a fifth of a pixel.
const shorter = (html) =>
  html.replace(/(style="[^"]*?);"/g, '$1"').replace(/-?\d+\.\d{2,}em/g, (length) =>
    `${Number((Math.round(Number.parseFloat(length) * 50) / 50).toFixed(2))}em`);

// MathML is for ears here: how far a bracket stretches is not heard, nor is a thin space.
const UNHEARD = new RegExp('<annotation[^]*?</annotation>|</?semantics>|<mspace[^>]*></mspace>' +
  '|<mo>\u2061</mo>| (xmlns|accent|stretchy|fence|separator|minsize|maxsize|lspace|rspace|width|height|depth)="[^"]*"', 'g');

const answer = ({ tex, marked, display }) => {
  try {
    const plain = set(tex, display, 'html');
    if (plain.includes('#cc0000')) {
      // Without trust KaTeX prints such a command in red instead of refusing it
      const command = /\\(url|href|includegraphics|html\w*)/.exec(tex);
      return { error: `not allowed here: ${command ? command[0] : 'a command'}`,
        position: command ? command.index : 0 };
    }
    const [mathml] = /<math[^]*<\/math>/.exec(set(tex, display, 'mathml')
      .replace(UNHEARD, ''));
    let html = plain;
    if (marked !== tex) {
      try {
        const withMarks = set(marked, display, 'html');
        if (unmark(withMarks) === plain) html = withMarks;
      } catch { /* the plain formula stands */ }
    }
    // Eyes read the first, screen readers the second
    return { html: lighter.html(shorter(html)).replace('<span class="katex-html"', (visible) =>
      `<span class="katex-mathml">${lighter.mathml(mathml)}</span>${visible}`) };
  } catch (error) {
    const message = String(error.rawMessage || error.message).split('\n')[0];
    return { error: message, position: error.position || 0 };
  }
};

let rest = '';
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop();
  for (const line of lines) process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n');
});
