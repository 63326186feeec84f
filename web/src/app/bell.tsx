// The bell: how many notifications are unread, live, and the newest of them.

import { ActionIcon, Indicator } from "@mantine/core";
import { IconBell } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { may, sessionQuery } from "~/api/session";
import { unreadQuery } from "~/api/unread";
import { useWords } from "~/language/use-words";
import { useBrowserNotices } from "~/live/browser-notices";
import { useEvents } from "~/live/hooks";
import { readAnew } from "~/live/read-anew";

export function Bell() {
  const { t } = useWords();
  const { data: session } = useQuery(sessionQuery);
  const queries = useQueryClient();
  const mayRead = may(session, "notifications:read") && session?.me !== null;
  const { data: unread = 0 } = useQuery({ ...unreadQuery, enabled: mayRead });
  const renew = () => void readAnew(queries, ["notifications"]);
  useEvents(mayRead ? "notifications" : null, renew, renew);
  useBrowserNotices(mayRead);
  if (!mayRead) return null;
  const label = unread ? t("bell.unread", { count: unread }) : t("bell.none");
  return (
    <Indicator label={unread > 99 ? "99+" : unread} size={16} disabled={!unread} color="red" offset={5}>
      <ActionIcon component={Link} to="/notifications" variant="subtle" size="lg" color="gray" aria-label={`${t("bell.open")}: ${label}`}>
        <IconBell size={22} stroke={1.6} />
      </ActionIcon>
    </Indicator>
  );
}
