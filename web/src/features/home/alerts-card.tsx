// What is wrong, plainly; where the site's voice is the oracle's, in its words, too.

import { Anchor, Group, Stack, Text } from "@mantine/core";
import { IconGhost } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { show, showMoney } from "~/lib/units";
import { Card } from "~/ui/card";
import { Severity } from "~/ui/severity";
import { Empty, Shown } from "~/ui/states";
import classes from "./home.module.css";
import { openAlertsQuery } from "./queries";

const HEIGHT = 130;

export function AlertsCard({ siteId, zone }: { siteId: string | null; zone: string }) {
  const { t } = useWords("home");
  const alerts = useQuery(openAlertsQuery(siteId));
  return (
    <Card title={t("alerts.title")} aside={<Anchor component={Link} to="/alerts" size="sm" c="var(--kw-accent)">{t("alerts.all")}</Anchor>}>
      <div style={{ minHeight: HEIGHT }}>
        <Shown of={alerts} height={HEIGHT}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title={t("alerts.none")}>{t("alerts.none-hint")}</Empty>
            ) : (
              <Stack gap="md">{items.map((alert) => <One key={alert.id} alert={alert} zone={zone} />)}</Stack>
            )
          }
        </Shown>
      </div>
    </Card>
  );
}

function One({ alert, zone }: { alert: Schemas["Alert"]; zone: string }) {
  const { t, locale } = useWords("home");
  const isOracle = alert.voice === "oracle";
  const cost = alert.cost_per_day === null ? null : showMoney(alert.cost_per_day, alert.currency, locale);
  const facts = [
    t(`alerts.kind.${alert.kind}`, { device: alert.device_name ?? alert.device ?? t("alerts.site") }),
    alert.value === null ? null : t("alerts.value", { value: show(alert.value, alert.unit ?? "", locale), limit: show(alert.limit, alert.unit ?? "", locale) }),
    cost && t("alerts.cost", { cost }),
  ];
  return (
    <article>
      <Group gap="xs" wrap="nowrap" align="flex-start">
        <Severity of={alert.severity} />
        <Anchor component={Link} {...({ to: "/alerts/$alert", params: { alert: alert.id } } as object)} c="var(--kw-text)" fw={600} size="sm">
          {alert.title}
        </Anchor>
      </Group>
      {isOracle && <p className={classes.oracle}><IconGhost size={16} aria-hidden /> {alert.description}</p>}
      <Text size="sm" mt={4}>{isOracle ? facts.filter(Boolean).join(" ") : alert.description}</Text>
      <Text size="sm" c="dimmed">{alert.remedy} {t("alerts.since", { time: showTime(Date.parse(alert.since), zone, locale) })}</Text>
    </article>
  );
}
