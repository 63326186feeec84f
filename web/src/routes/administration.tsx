import { useNavigate, useSearch } from "@tanstack/react-router";
import { AdministrationBoard } from "~/features/administration/administration-board";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function AdministrationPage() {
  const { t } = useWords("administration");
  const go = useNavigate();
  const { tab } = useSearch({ strict: false }) as { tab?: string };
  return (
    <Page title={t("title")}>
      <AdministrationBoard tab={tab ?? ""} onTab={(chosen) => void go({ to: "/administration", search: { tab: chosen } as never })} />
    </Page>
  );
}
