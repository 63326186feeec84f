// What went wrong in a form, beyond what its fields say.

import { Alert } from "@mantine/core";

export function Wrong({ text }: { text: string | null }) {
  if (!text) return null;
  return <Alert color="red" variant="outline" role="alert">{text}</Alert>;
}
