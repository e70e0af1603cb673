/** Plays frames to the reducer and says what the page would show. States are frozen: it may not change them. */
async ([url, frames]) => {
  const { NOTHING, read, entries } = await import(url);
  const asks = [];
  let state = NOTHING;
  for (const frame of frames) {
    const before = Object.freeze(state);
    const step = read(before, frame);
    state = step.state;
    if (step.asks) asks.push(step.asks);
    const isSameTurn = before.turn && before.turn.id === state.turn?.id;
    if (frame.type === "turn.delta" && isSameTurn && state.turn.text !== before.turn.text + step.added) {
      throw new Error(`what a delta added is not what it changed: ${JSON.stringify(frame)}`);
    }
  }
  const lines = entries(state).map(({ message: { id, text, status }, isRunning, isReplaced }) => ({
    id,
    text,
    status,
    ...(isRunning && { running: true }),
    ...(isReplaced && { replaced: true }),
  }));
  return {
    lines,
    conversation: state.conversation?.id ?? null,
    turn: state.turn?.id ?? null,
    more: state.more,
    asks,
    failures: Object.fromEntries(Object.entries(state.failures).map(([id, { code }]) => [id, code])),
  };
};
