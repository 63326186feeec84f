import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function NotificationsPage() {
  const { t } = useWords("notifications");
  return <Page title={t("title")}>{null}</Page>;
}
