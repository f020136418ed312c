// Lines of the code of a page, as figures show them.
((ddpm) => {
  'use strict';

  /** @param {string} [within] a selector of rows */
  const linesOf = (within = '') =>
    /** @type {HTMLElement[]} */ (Array.from(document.querySelectorAll(`${within} .code .l`)));

  /**
   * A line with its number, which leads to it; the text alone where the page does not have it.
   * @param {HTMLElement | undefined} line @param {string} text
   * @param {boolean} [indented] whether the space before it is kept
   */
  const shownLine = (line, text, indented = false) => {
    const parts = line ? Array.from(line.cloneNode(true).childNodes) : [document.createTextNode(text)];
    if (!indented) {
      while (parts.length > 1 && !parts[0].textContent?.trim()) parts.shift();
      if (parts[0] instanceof Text) parts[0].data = parts[0].data.trimStart();
    }
    const number = line?.id.slice(1) ?? '';
    return ddpm.make('li', {},
      ...(number ? [ddpm.make('a', { className: 'at', href: `#L${number}` }, number)] : []),
      ddpm.make('code', {}, ...parts));
  };

  /** @param {Element} line what it says, without the remark behind it */
  const said = (line) => (line.textContent ?? '').replace(/\s\s#.*/, '').trim();

  /** @param {string} text the line of the page's code that it is */
  const inPage = (text) => linesOf().find((line) => said(line) === text);

  Object.assign(ddpm, { lines: { linesOf, shownLine, said, inPage } });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
