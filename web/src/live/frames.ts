// One loop of animation frames for everything that moves. It rests while nobody asks, and while the page is hidden
// (the browser then gives no frames).

const askers = new Set<(nowMs: number) => void>();
let frame = 0;

function turn(): void {
  frame = requestAnimationFrame(turn);
  const now = Date.now();
  for (const tell of askers) tell(now);
}

/** Calls `tell` in each frame with the time of day (milliseconds since 1970); returns how to stop. */
export function onFrame(tell: (nowMs: number) => void): () => void {
  askers.add(tell);
  if (!frame) frame = requestAnimationFrame(turn);
  return () => {
    askers.delete(tell);
    if (askers.size) return;
    cancelAnimationFrame(frame);
    frame = 0;
  };
}
