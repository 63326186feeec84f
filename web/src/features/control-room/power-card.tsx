// What the whole fleet draws, live.

import { useMemo } from "react";
import { useWords } from "~/language/use-words";
import { show } from "~/lib/units";
import { LiveChart } from "~/live/live-chart";
import type { Ring } from "~/live/ring";
import { Card } from "~/ui/card";

const HEIGHT = 200;
const SPAN_S = 300;

export function PowerCard({ course, zone }: { course: Ring; zone: string }) {
  const { t, locale } = useWords("control-room");
  const title = t("power.title");
  const series = useMemo(() => [{ label: title, ring: course, color: "--kw-accent", filled: true }], [title, course]);
  return (
    <Card title={title}>
      <div style={{ minHeight: HEIGHT }}>
        <LiveChart
          series={series}
          seconds={SPAN_S}
          height={HEIGHT}
          unit="W"
          zone={zone}
          locale={locale}
          gap={10}
          range="around"
          label={t("power.label", { power: show(course.newest?.value, "W", locale) })}
        />
      </div>
    </Card>
  );
}
