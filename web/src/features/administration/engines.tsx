// How the engines are, asked every few seconds.

import { Badge, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import { healthQuery } from "./queries";

export function Engines() {
  const { t, locale } = useWords("administration");
  const health = useQuery(healthQuery);
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 3 });
  const say = (value: unknown) => (typeof value === "number" ? number.format(value) : String(value));
  return (
    <Card title={t("engines.title")}>
      <Shown of={health} height={200}>
        {(parts) => (
          <Table>
            <Table.Tbody>
              {Object.entries(parts).map(([name, { ok, ...facts }]) => (
                <Table.Tr key={name}>
                  <Table.Th scope="row">{t(`engines.${name}`, { defaultValue: name })}</Table.Th>
                  <Table.Td>
                    <Badge variant="outline" styles={{ root: { color: ok ? "var(--kw-good)" : "var(--kw-critical)", borderColor: "currentColor", textTransform: "none" } }}>
                      {t(ok ? "engines.able" : "engines.unable")}
                    </Badge>
                  </Table.Td>
                  <Table.Td>
                    <Text size="sm" className="kw-number">
                      {Object.entries(facts).map(([fact, value]) => `${t(`engines.fact.${fact}`, { defaultValue: fact })} ${say(value)}`).join(" · ") || "–"}
                    </Text>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Shown>
    </Card>
  );
}
