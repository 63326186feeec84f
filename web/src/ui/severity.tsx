// How bad something is: a word in a colour, never the colour alone.

import { Badge } from "@mantine/core";
import { useWords } from "~/language/use-words";

export type SeverityName = "low" | "medium" | "high" | "critical";

export function Severity({ of, count }: { of: SeverityName; count?: number }) {
  const { t } = useWords();
  const color = `var(--kw-${of})`;
  return (
    <Badge variant="outline" styles={{ root: { color, borderColor: color } }}>
      {t(`severity.${of}`)}
      {count === undefined ? "" : ` ${count}`}
    </Badge>
  );
}
