// Asks the search's own script without a page: reads a job from stdin, writes the hits of each
// question. A job: the scripts of a language in the order in which a page loads them, and questions.
// Last comes the text that a translation was made from.
const fs = require('node:fs');
const vm = require('node:vm');

const { program, text, code, source, language, questions } = JSON.parse(fs.readFileSync(0, 'utf8'));
const run = (path) => vm.runInThisContext(fs.readFileSync(path, 'utf8'), path);
globalThis.pylit = {};
run(program);
let engine = null;
pylit.index = (pages, groups) => {
  if (engine) engine.source(pages);
  else engine = pylit.search(pages, groups, language);
};
pylit.code = (shown) => engine.code(shown);
run(text);
run(code);
if (source) run(source);
process.stdout.write(JSON.stringify(questions.map((question) => engine.find(question).hits)));
