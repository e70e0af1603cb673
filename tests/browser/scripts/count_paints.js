/** Counts in how many animation frames the answer changes, and notes whether one frame changed it twice. */
() => {
  const counts = { frame: 0, paints: 0, paintedTwice: false };
  let last = -1;
  const next = () => {
    counts.frame += 1;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
  new MutationObserver(() => {
    if (counts.frame === last) counts.paintedTwice = true;
    else counts.paints += 1;
    last = counts.frame;
  }).observe(document.querySelector(".answer"), { childList: true, subtree: true, characterData: true });
  window.counts = counts;
};
