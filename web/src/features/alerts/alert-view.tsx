// One alert: what happened, what to do, what was done.

import { Grid, Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Page } from "~/ui/page";
import { Severity } from "~/ui/severity";
import { Shown } from "~/ui/states";
import { Acts } from "./acts";
import { Around } from "./around";
import { StateBadge } from "./badges";
import { Facts } from "./facts";
import { useAlertsLive } from "./live";
import { alertQuery, type AlertInFull } from "./queries";
import { Story } from "./story";
import { SwitchOff } from "./switch-off";

export function AlertView({ id }: { id: string }) {
  const { t } = useWords("alerts");
  const asked = useQuery(alertQuery(id));
  useAlertsLive();
  return (
    <Page title={asked.data?.title ?? t("one")} aside={asked.data && <Group gap="xs"><Severity of={asked.data.severity} /><StateBadge alert={asked.data} /></Group>}>
      <Shown of={asked} height={480}>{(alert) => <Whole alert={alert} />}</Shown>
    </Page>
  );
}

function Whole({ alert }: { alert: AlertInFull }) {
  const { t } = useWords("alerts");
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, lg: 8 }}>
        <Stack>
          <Card title={t("part.what")}><Facts alert={alert} /></Card>
          {alert.device && <Card title={t("part.around")}><Around alert={alert} device={alert.device} /></Card>}
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, lg: 4 }}>
        <Stack>
          <Card title={t("part.remedy")}>
            <Stack>
              <Text>{alert.remedy}</Text>
              {alert.device && <SwitchOff device={alert.device} />}
              <Acts alert={alert} />
            </Stack>
          </Card>
          <Card title={t("part.story")}><Story alert={alert} /></Card>
        </Stack>
      </Grid.Col>
    </Grid>
  );
}
