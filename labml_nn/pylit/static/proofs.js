// A mark opens what its test has computed. Without this it is a link to the source of the test.
(() => {
  'use strict';
  const here = document.currentScript.src;
  let panel = null;
  const load = () => panel ??= new Promise((done, fail) => {
    const script = document.createElement('script');
    script.src = here.replace(/proofs\.js$/, 'panel.js');
    script.onload = done;
    script.onerror = fail;
    document.head.append(script);
  });
  for (const mark of document.querySelectorAll('main a.claim')) {
    mark.setAttribute('role', 'button');
    mark.setAttribute('aria-haspopup', 'dialog');
    mark.addEventListener('click', (event) => {
      // Those who ask for a new tab get the source
      if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      load().then(() => globalThis.pylitProofs.open(mark)).catch(() => { location.href = mark.href; });
    });
    mark.addEventListener('keydown', (event) => {
      if (event.key !== ' ') return;
      event.preventDefault();
      mark.click();
    });
  }
})();
