// Parts of a drawing, and numbers as they are printed.
((ddpm) => {
  'use strict';

  /** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
  const draw = (tag, attributes, text = '') => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    element.textContent = text;
    return element;
  };

  /** @param {number | string} v as it is printed, with a minus sign for the hyphen */
  const signed = (v) => String(v).replace('-', '−');

  Object.assign(ddpm, { svg: { draw, signed } });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
