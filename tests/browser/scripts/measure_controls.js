/** The smaller side of each control in view, with the padding that takes touches too. */
() =>
  [...document.querySelectorAll("main button, main a[href^='#']")]
    .filter((control) => control.checkVisibility())
    .map((control) => {
      const { width, height } = control.getBoundingClientRect();
      const padding_px = getComputedStyle(control, "::after").content === "none" ? 0 : 8;
      return [control.getAttribute("aria-label") ?? control.textContent, Math.min(width, height) + padding_px];
    });
