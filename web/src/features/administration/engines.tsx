// How the engines are, asked every few seconds.

import { Badge, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useWords } from "~/language/use-words";
import { Card } from "~/ui/card";
import { Shown } from "~/ui/states";
import classes from "./administration.module.css";
import { showFact } from "./facts";
import { healthQuery } from "./queries";

export function Engines() {
  const { t, locale } = useWords("administration");
  const health = useQuery(healthQuery);
  return (
    <Card title={t("engines.title")}>
      <Shown of={health} height={200}>
        {(parts) => (
          <ul className={classes.engines}>
            {Object.entries(parts).map(([name, { ok, ...facts }]) => (
              <li key={name} className={classes.engine}>
                <Text fw={650}>{t(`engines.${name}`, { defaultValue: name })}</Text>
                <Badge variant="outline" styles={{ root: { color: ok ? "var(--kw-good)" : "var(--kw-critical)", borderColor: "currentColor", textTransform: "none" } }}>
                  {t(ok ? "engines.able" : "engines.unable")}
                </Badge>
                <Text size="sm" c="dimmed" className="kw-number">
                  {Object.entries(facts).map(([fact, value]) => t(`engines.fact.${fact}`, { defaultValue: `${fact} {{value}}`, value: showFact(fact, value, locale) })).join(" · ")}
                </Text>
              </li>
            ))}
          </ul>
        )}
      </Shown>
    </Card>
  );
}
