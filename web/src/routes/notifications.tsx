import { Inbox, ReadAll } from "~/features/notifications/inbox";
import { useWords } from "~/language/use-words";
import { Page } from "~/ui/page";

export function NotificationsPage() {
  const { t } = useWords("notifications");
  return <Page title={t("title")} aside={<ReadAll />}><Inbox /></Page>;
}
