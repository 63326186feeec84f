// Notices of the browser itself, for when nobody looks at the page. Whether they are wanted is kept in this browser;
// the browser asks its owner for permission.

import { useTopic } from "./hooks";

const KEPT = "kilowatch.browser-notices";

export type Permission = "granted" | "denied" | "default" | "missing";

export function permission(): Permission {
  return "Notification" in window ? Notification.permission : "missing";
}

/** Whether they are wanted here and allowed. */
export function areNoticesOn(): boolean {
  return permission() === "granted" && localStorage.getItem(KEPT) === "on";
}

/** Switches them on, asking for permission where it was not given yet, or off; whether they are on afterwards. */
export async function switchNotices(isOn: boolean): Promise<boolean> {
  if (isOn && permission() === "default") await Notification.requestPermission();
  if (isOn && permission() === "granted") localStorage.setItem(KEPT, "on");
  else localStorage.removeItem(KEPT);
  return areNoticesOn();
}

async function show(id: string, title: string, body: string): Promise<void> {
  const options = { body, tag: id, icon: "/icon.svg" };
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker) await worker.showNotification(title, options);
  else new Notification(title, options);
}

/** Shows what is told to the reader while the page is not looked at. */
export function useBrowserNotices(isAllowed: boolean): void {
  useTopic(isAllowed ? "notifications" : null, ({ data, type }) => {
    if (type !== "notification" || !document.hidden || !areNoticesOn()) return;
    void show(String(data.id), String(data.title), `${String(data.body)}\n${String(data.remedy)}`).catch(() => undefined);
  });
}
