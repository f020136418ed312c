// Before the first paint: what the reader chose, if anything, so that nothing flashes or moves.
(() => {
  const root = document.documentElement;
  root.classList.add('js');
  try {
    const theme = localStorage.getItem('pylit-theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    const wrap = localStorage.getItem('pylit-wrap');
    if (wrap === 'on' || wrap === 'off') root.dataset.wrap = wrap;
  } catch { /* storage may be closed; the system's theme is right then */ }
})();
