// # The page of a run
//
// Its host: there is one language, and nothing more to load.
((ddpm) => {
  'use strict';
  const root = /** @type {HTMLElement} */ (document.querySelector('.figure'));
  const status = /** @type {HTMLElement} */ (document.querySelector('[role="status"]'));
  /** @type {DDPM.Host} */
  const host = {
    root,
    say: (text) => text,
    announce: (text) => { status.textContent = text; },
    failed: (error) => { root.append(ddpm.make('p', { className: 'mistake' }, String(error))); },
  };
  ddpm.drawing(host, ddpm.packed, { save: true }).catch(host.failed);
})(ddpm);
