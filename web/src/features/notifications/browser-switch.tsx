// Notices of this browser, on or off.

import { Switch } from "@mantine/core";
import { useState } from "react";
import { useWords } from "~/language/use-words";
import { areNoticesOn, permission, switchNotices } from "~/live/browser-notices";

export function BrowserSwitch() {
  const { t } = useWords("notifications");
  const [isOn, setIsOn] = useState(areNoticesOn);
  const [allowed, setAllowed] = useState(permission);
  const change = async (wanted: boolean) => {
    setIsOn(await switchNotices(wanted));
    setAllowed(permission());
  };
  const isBlocked = allowed === "denied" || allowed === "missing";
  return (
    <Switch
      label={t("browser.label")}
      description={t(isBlocked ? `browser.${allowed}` : "browser.hint")}
      checked={isOn}
      disabled={isBlocked}
      onChange={(event) => void change(event.currentTarget.checked)}
    />
  );
}
