// What the server found wrong with the fields of a form.

import { Refusal, sentenceOf } from "./problem";

/** What is wrong with each field, by its name. */
export function faultsOf(error: unknown): Readonly<Record<string, string>> {
  return error instanceof Refusal ? error.fields : {};
}

/** What is wrong beyond the fields that the form has, as a sentence; null where the fields say it all. */
export function otherFault(error: unknown, fields: readonly string[]): string | null {
  if (!error) return null;
  const found = Object.keys(faultsOf(error));
  return found.length > 0 && found.every((name) => fields.includes(name)) ? null : sentenceOf(error);
}
