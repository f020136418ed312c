// Living figures: what is loaded when a reader touches the first of them.
(() => {
  'use strict';
  const body = document.body;
  const status = document.querySelector('#pylit-status');
  const script = (src) => new Promise((done, fail) => {
    const element = document.createElement('script');
    element.src = src;
    element.onload = done;
    element.onerror = () => fail(new Error(src));
    document.head.append(element);
  });
  let known = {};
  pylit.words = (words) => { known = words; };
  pylit.figures = {};
  // The words of the language are beside its search
  const words = document.documentElement.lang === 'en' ? Promise.resolve()
    : script(body.dataset.search.replace(/search\.js$/, 'live.js')).catch(() => {});

  pylit.live = async (place, start) => {
    const { live, style } = place.dataset;
    const name = live.replace(/^.*\/|\.js$/g, '');
    const root = document.createElement('div');
    root.className = 'figure';
    // The figure stands where the picture stood from the first that is seen of it, and never moves
    const begun = new MutationObserver(() => { place.hidden = true; });
    begun.observe(root, { childList: true });
    const failed = (error) => {
      console.warn(error);
      begun.disconnect();
      root.remove();
      place.hidden = false;
      start.replaceWith(Object.assign(document.createElement('span'), { className: 'mistake', textContent: place.dataset.wrong }));
    };
    try {
      if (style) {
        const sheet = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: style });
        document.head.append(sheet);
      }
      await Promise.all([words, script(live)]);
      (place.closest('p') ?? place).after(root);
      await pylit.figures[name]({
        root,
        failed,
        say: (text) => known[text] ?? text,
        announce: (text) => { status.textContent = text; },
        load: (other) => script(live.replace(/[^/]*$/, other)),
      });
      // Who came by the keyboard goes on with it, unless already somewhere else
      const at = document.activeElement;
      if (at === start || at === body) root.querySelector('button, input, select, [tabindex]')?.focus({ preventScroll: true });
    } catch (error) { failed(error); }
  };
})();
