// Runs before anything is drawn, so that nothing changes colour or place afterwards.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const mode = localStorage.getItem("zslbench-mode");
    if (mode === "light" || mode === "dark") root.dataset.mode = mode;
  } catch { /* storage may be blocked */ }
})();
