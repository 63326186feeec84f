// Which look the reader chose. Light and dark follow the system unless one was chosen; haunted is dark with a spell.

import { useMantineColorScheme } from "@mantine/core";
import { useSyncExternalStore } from "react";

export const LOOKS = ["auto", "light", "dark", "haunted"] as const;
export type Look = (typeof LOOKS)[number];

const KEPT = "kilowatch.look";
const watchers = new Set<() => void>();

export function keptLook(): Look {
  const kept = localStorage.getItem(KEPT);
  return LOOKS.find((one) => one === kept) ?? "auto";
}

/** Puts the spell on the page, or takes it off. */
export function applyLook(look: Look): void {
  if (look === "haunted") document.documentElement.dataset.look = look;
  else delete document.documentElement.dataset.look;
}

/** Follows what the reader chooses in another window. */
export function followLook(): void {
  window.addEventListener("storage", ({ key }) => {
    if (key === KEPT) put(keptLook());
  });
}

function put(look: Look): void {
  applyLook(look);
  watchers.forEach((tell) => tell());
}

function watch(onChange: () => void): () => void {
  watchers.add(onChange);
  return () => watchers.delete(onChange);
}

/** The look that was chosen. */
export function useChosenLook(): Look {
  return useSyncExternalStore(watch, keptLook);
}

/** The look that was chosen, and how to choose another one. */
export function useLook(): [Look, (look: Look) => void] {
  const { setColorScheme } = useMantineColorScheme();
  const look = useChosenLook();
  const choose = (chosen: Look) => {
    localStorage.setItem(KEPT, chosen);
    setColorScheme(chosen === "haunted" ? "dark" : chosen);
    put(chosen);
  };
  return [look, choose];
}
