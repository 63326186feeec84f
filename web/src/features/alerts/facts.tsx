// What is known of an alert: the plain sentence first, then its words, figures and cost.

import { Anchor, Blockquote, SimpleGrid, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useSite } from "~/api/place";
import { useWords } from "~/language/use-words";
import { showDuration } from "~/lib/time";
import { show, showMoney } from "~/lib/units";
import { Lasting } from "~/ui/lasting";
import type { Alert } from "./queries";

const ENERGY = ["high_consumption", "zero_consumption", "negative_consumption"];

/** A number of the alert in its unit. */
function measured(value: number | null, alert: Alert, locale: string): string {
  if (value === null) return "–";
  if (alert.metric === "silence") return showDuration(value);
  return show(value, ENERGY.includes(alert.kind) ? "kWh" : (alert.unit ?? ""), locale);
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <Text size="xs" c="dimmed" component="dt">{name}</Text>
      <Text className="kw-number" fw={550} component="dd" m={0}>{children}</Text>
    </div>
  );
}

export function Facts({ alert }: { alert: Alert }) {
  const { t, locale } = useWords("alerts");
  const { sites } = useSite();
  const site = sites.find((one) => one.id === alert.site_id)?.name ?? "";
  const thing = alert.device_name ?? alert.device ?? site;
  return (
    <Stack gap="md">
      <Text fw={550}>{t(`plain.${alert.kind}`, { thing, value: measured(alert.value, alert, locale), limit: measured(alert.limit, alert, locale) })}</Text>
      {alert.voice === "oracle" ? (
        <Blockquote p="md" color="var(--kw-accent)" cite={t("oracle")} styles={{ cite: { color: "var(--kw-quiet)", opacity: 1 } }}>{alert.description}</Blockquote>
      ) : (
        <Text>{alert.description}</Text>
      )}
      <SimpleGrid component="dl" cols={{ base: 2, sm: 3, lg: 4 }} m={0}>
        <Fact name={t("field.device")}>
          {alert.device ? <Anchor component={Link} to={`/devices/${alert.device}`}>{thing}</Anchor> : t("whole-site")}
        </Fact>
        <Fact name={t("common:place.site")}>{site}</Fact>
        <Fact name={t("field.value")}>{measured(alert.value, alert, locale)}</Fact>
        <Fact name={t("field.limit")}>{measured(alert.limit, alert, locale)}</Fact>
        <Fact name={t("field.excess")}>{alert.excess_w === null ? "–" : show(alert.excess_w, "W", locale)}</Fact>
        <Fact name={t("field.cost")}>{alert.cost_per_day === null ? "–" : showMoney(alert.cost_per_day, alert.currency, locale)}</Fact>
        <Fact name={t("field.duration")}><Lasting since={alert.since} until={alert.resolved_at} /></Fact>
        <Fact name={t("field.devices")}>{alert.devices}</Fact>
      </SimpleGrid>
    </Stack>
  );
}
