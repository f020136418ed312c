// Before the first paint: what the reader chose, if anything, so that nothing flashes or moves.
(() => {
  const root = document.documentElement;
  root.classList.add('js');
  // The letters of formulas, before a line is broken with others in their place
  const fonts = new URL('katex/fonts/', document.currentScript.src);
  const letters = [
    ['Main', 'Main-Regular', 'normal'], ['Math', 'Math-Italic', 'italic'],
    ['Size1', 'Size1-Regular', 'normal'], ['Size2', 'Size2-Regular', 'normal'],
  ];
  for (const [family, file, style] of letters) {
    const face = new FontFace(`KaTeX_${family}`, `url("${fonts}KaTeX_${file}.woff2")`, { style });
    document.fonts.add(face);
    face.load().catch(() => {});
  }
  try {
    const theme = localStorage.getItem('pylit-theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    const wrap = localStorage.getItem('pylit-wrap');
    if (wrap === 'on' || wrap === 'off') root.dataset.wrap = wrap;
  } catch { /* storage may be closed; the system's theme is right then */ }
})();
