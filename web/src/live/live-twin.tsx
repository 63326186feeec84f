// The table twin of a live chart: the newest values first, read once a second while it is open.

import { useEffect, useState } from "react";
import { Twin } from "~/charts/twin";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { show } from "~/lib/units";
import type { Ring } from "./ring";

interface LiveTwinProps {
  /** What is measured. */
  readonly name: string;
  readonly ring: Ring;
  /** How many seconds are seen. */
  readonly seconds: number;
  /** What the table says, in a sentence. */
  readonly caption: string;
  readonly unit: string;
  readonly zone: string;
  readonly locale: string;
}

const READ_MS = 1_000;
const NOTHING = [new Float64Array(0), new Float64Array(0)] as const;

export function LiveTwin({ name, ring, seconds, caption, unit, zone, locale }: LiveTwinProps) {
  const { t } = useWords();
  const [nowS, setNow] = useState<number | null>(null);
  const isOpen = nowS !== null;
  useEffect(() => {
    if (!isOpen) return;
    const beat = setInterval(() => setNow(Date.now() / 1_000), READ_MS);
    return () => clearInterval(beat);
  }, [isOpen]);
  const [times, values] = isOpen ? ring.since(nowS - seconds) : NOTHING;
  const last = times.length - 1;
  return (
    <Twin
      caption={caption}
      columns={[t("table.when"), name]}
      rows={times.length}
      cells={(at) => [showTime((times[last - at] as number) * 1_000, zone, locale, true), show(values[last - at], unit, locale)]}
      onOpen={(opened) => setNow(opened ? Date.now() / 1_000 : null)}
    />
  );
}
