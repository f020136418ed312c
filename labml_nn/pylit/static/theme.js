// Before the first paint: the theme that the reader chose, if any, so that nothing flashes.
(() => {
  try {
    const chosen = localStorage.getItem('pylit-theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch { /* storage may be closed; the system's theme is right then */ }
})();
