// Says that the server has a newer build of the app, and loads it when asked to.

import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useEffect } from "react";
import { useWords } from "~/language/use-words";
import { watchBuild } from "./build";

export function UpdatePrompt() {
  const { t } = useWords();
  useEffect(
    () =>
      watchBuild(() =>
        notifications.show({
          id: "update",
          autoClose: false,
          role: "status",
          title: t("update.ready"),
          message: <Button size="xs" mt="xs" onClick={() => location.reload()}>{t("update.load")}</Button>,
          withBorder: true,
          closeButtonProps: { "aria-label": t("toast.close") },
        }),
      ),
    [t],
  );
  return null;
}
