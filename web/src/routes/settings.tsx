import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function SettingsPage() {
  const { t } = useWords("settings");
  return <Page title={t("title")}>{null}</Page>;
}
