// What may come a moment later than the rest of its page, so that the page answers to its reader in between.

import { startTransition, useEffect, useState, type ReactNode } from "react";

interface InTurnProps {
  /** Pixels that are kept free until then. */
  readonly height: number;
  /** What stands there until then; without it: nothing. */
  readonly waiting?: ReactNode;
  readonly children: ReactNode;
}

/** Draws its children once the rest is there, in pieces. */
export function InTurn({ height, waiting, children }: InTurnProps) {
  const [isDue, setDue] = useState(false);
  useEffect(() => startTransition(() => setDue(true)), []);
  return isDue ? children : <div style={{ minHeight: height }}>{waiting}</div>;
}
