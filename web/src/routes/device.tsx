import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function DevicePage() {
  const { t } = useWords("devices");
  return <Page title={t("title")}>{null}</Page>;
}
