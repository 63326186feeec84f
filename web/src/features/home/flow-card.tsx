// Where power comes from and where it goes, now.

import { Text } from "@mantine/core";
import { useMemo } from "react";
import { Sankey } from "~/charts/sankey";
import { useWords } from "~/language/use-words";
import { chooseScale, show, showIn, showShare } from "~/lib/units";
import { Card } from "~/ui/card";
import { Empty } from "~/ui/states";
import type { Balance, Part } from "~/lib/balance";
import { flowOf } from "./flow";

const HEIGHT = 330;
/** Differences below are rounding and times that do not quite meet. */
const LEAST_IMBALANCE = 0.02;

/** selfSufficiency: the share of today's use that did not come from the grid; null where only the grid gives. */
export function FlowCard({ balance, parts, selfSufficiency }: { balance: Balance; parts: readonly Part[]; selfSufficiency: number | null }) {
  const { t, locale } = useWords("home");
  const words = useMemo(
    () => ({
      grid: t("flow.grid"), solar: t("flow.solar"), generator: t("flow.generator"), battery: t("flow.battery"), imbalance: t("flow.imbalance"),
      home: t("flow.home"), charging: t("flow.charging"), exported: t("flow.exported"), others: t("flow.others"), untracked: t("untracked"),
    }),
    [t],
  );
  const { nodes, links } = useMemo(() => flowOf(balance, parts, words), [balance, parts, words]);
  const scale = chooseScale("W", Math.max(balance.use, balance.solar, balance.exported));
  const label = t("flow.label", {
    use: show(balance.use, "W", locale),
    imported: show(balance.imported, "W", locale),
    made: show(balance.solar + balance.generator + balance.batteryOut, "W", locale),
    exported: show(balance.exported, "W", locale),
  });
  const isOff = balance.imbalance > LEAST_IMBALANCE * balance.use;
  return (
    <Card
      title={t("flow.title")}
      aside={selfSufficiency !== null && <Text size="sm" fw={600} className="kw-number">{t("self-sufficient", { share: showShare(selfSufficiency, locale) })}</Text>}
    >
      {links.length ? (
        <Sankey nodes={nodes} links={links} height={HEIGHT} label={label} show={(value) => showIn(value, scale, locale)} />
      ) : (
        <div style={{ height: HEIGHT }}>
          <Empty title={t(balance.isKnown ? "flow.none" : "flow.unknown")}>{t(balance.isKnown ? "flow.none-hint" : "flow.unknown-hint")}</Empty>
        </div>
      )}
      <Text size="sm" c="dimmed" mih="1.4rem">
        {isOff && t("flow.imbalance-hint", { power: show(balance.imbalance, "W", locale) })}
        {!isOff && balance.isKnown && !balance.isGridMeasured && t("flow.unmeasured")}
      </Text>
    </Card>
  );
}
