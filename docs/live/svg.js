// Parts of a drawing.
((ddpm) => {
  'use strict';

  /** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [text] */
  const draw = (tag, attributes, text = '') => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    element.textContent = text;
    return element;
  };

  Object.assign(ddpm, { svg: { draw } });
})((globalThis.ddpm ??= /** @type {any} */ ({})));
