// What went over a channel or is on its way, with what its service answered.

import { Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useZone } from "~/api/zone";
import { useWords } from "~/language/use-words";
import { showTime } from "~/lib/time";
import { Shown } from "~/ui/states";
import { WideTable } from "~/ui/wide-table";
import { deliveriesQuery, type Delivery } from "./queries";

export function Deliveries({ channel }: { channel: string }) {
  const { t } = useWords("notifications");
  const asked = useQuery(deliveriesQuery(channel));
  return (
    <Shown of={asked} height={80}>
      {(deliveries) =>
        deliveries.length ? (
          <WideTable minWidth={300} mah={320} mt="xs" label={t("channel.log")}>
            <Table>
              <Table.Tbody>{deliveries.map((one) => <One key={one.id} delivery={one} />)}</Table.Tbody>
            </Table>
          </WideTable>
        ) : (
          <Text size="sm" c="dimmed" mt="xs">{t("channel.log-empty")}</Text>
        )
      }
    </Shown>
  );
}

function One({ delivery }: { delivery: Delivery }) {
  const { t, locale } = useWords("notifications");
  const zone = useZone()();
  const last = delivery.attempts.at(-1);
  const at = delivery.ended_at ?? (delivery.status === "pending" ? delivery.due_at : delivery.created_at);
  return (
    <Table.Tr>
      <Table.Td className="kw-number">{showTime(Date.parse(at), zone, locale)}</Table.Td>
      <Table.Td>
        {delivery.title ?? t(delivery.alert_id ? "delivery.alert" : "delivery.test")}
        {delivery.bundle && <Text size="xs" c="dimmed">{t(`delivery.bundle-${delivery.bundle}`)}</Text>}
        {last?.detail && <Text size="xs" c="dimmed">{last.detail}</Text>}
      </Table.Td>
      <Table.Td>
        {t(`delivery.${delivery.status}`)}
        {delivery.tries > 1 && ` (${delivery.tries})`}
      </Table.Td>
    </Table.Tr>
  );
}
