/** Notes each layout shift the browser sees, and what moved. */
() => {
  window.shifts = [];
  const note = ({ value, sources }) => shifts.push({ value, moved: sources.map(({ node }) => node?.className || node?.nodeName) });
  new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "layout-shift" });
};
