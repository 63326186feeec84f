import { useParams, useSearch } from "@tanstack/react-router";
import { RuleForm } from "~/features/rules/rule-form";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

const textOf = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : undefined);

export function RulePage() {
  const { t } = useWords("rules");
  const { rule } = useParams({ strict: false }) as { rule: string };
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const isNew = rule === "new";
  return (
    <Page title={t(isNew ? "new" : "one")}>
      <RuleForm key={rule} id={isNew ? null : rule} device={textOf(search.device)} metric={textOf(search.metric)} />
    </Page>
  );
}
