// Sets the kept appearance before the first paint. A classic script in the head: a module would run too late.
(() => {
  try {
    const theme = localStorage.getItem("chat.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is closed to us (a privacy setting): the system's appearance stands.
  }
})();
