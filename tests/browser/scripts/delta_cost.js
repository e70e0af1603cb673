/** The time of 5,000 deltas behind a very long answer, as a multiple of that behind a short one. */
async (url) => {
  const { NOTHING, read } = await import(url);
  const text = "an answer in pieces ";
  const timed = (length) => {
    const turn = { id: "t", message_id: "m", position: 1, replaces: null, text: "x".repeat(length), length };
    let state = { ...NOTHING, turn };
    const began = performance.now();
    for (let n = 0; n < 5000; n += 1) {
      state = read(state, { type: "turn.delta", turn_id: "t", at: length + n * text.length, text }).state;
    }
    return performance.now() - began;
  };
  const best = (length) => Math.min(...[1, 2, 3, 4, 5].map(() => timed(length)));
  best(1000); // the first run is slower: nothing is compiled yet
  return best(5_000_000) / best(50_000);
};
