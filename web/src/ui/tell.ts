// A word at the edge of the screen about what was done, or what could not be.

import { notifications } from "@mantine/notifications";
import { sentenceOf } from "~/api/problem";

export function tellDone(message: string): void {
  notifications.show({ message, color: "green", role: "status", withBorder: true });
}

export function tellFailure(error: unknown): void {
  notifications.show({ message: sentenceOf(error), color: "red", role: "alert", withBorder: true, autoClose: 10_000 });
}
