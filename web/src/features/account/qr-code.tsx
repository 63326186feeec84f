// A QR code, dark on light in every look, as cameras want it.

import { drawQr } from "./qr";

const QUIET = 4;
const WIDTH = 200;

export function QrCode({ text, label }: { text: string; label: string }) {
  const squares = drawQr(text);
  if (!squares) return null;
  const size = squares.length + 2 * QUIET;
  const path = squares.flatMap((line, row) => line.map((isDark, column) => (isDark ? `M${column + QUIET} ${row + QUIET}h1v1h-1z` : ""))).join("");
  return (
    <svg role="img" aria-label={label} width={WIDTH} height={WIDTH} viewBox={`0 0 ${size} ${size}`} shapeRendering="crispEdges" style={{ background: "var(--kw-paper)" }}>
      <path d={path} fill="var(--kw-ink)" />
    </svg>
  );
}
