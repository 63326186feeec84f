// Words in the language of the reader. Each part of the app has a namespace of its own, fetched with that part.

import i18n from "i18next";
import { initReactI18next } from "react-i18next";
import common from "./en/common.json";

export const LANGUAGES = ["en", "de"] as const;
export type Language = (typeof LANGUAGES)[number];

const KEPT = "kilowatch.language";
const FILES = import.meta.glob<Record<string, unknown>>(["./*/*.json", "!./en/common.json"], { import: "default" });

/** The language that was chosen here, or the first that the browser names and we have. */
export function preferredLanguage(): Language {
  const wanted = [localStorage.getItem(KEPT), ...navigator.languages];
  for (const one of wanted) {
    const found = LANGUAGES.find((language) => one?.toLowerCase().startsWith(language));
    if (found) return found;
  }
  return "en";
}

export async function chooseLanguage(language: Language): Promise<void> {
  localStorage.setItem(KEPT, language);
  await Promise.all([...loaded].map((namespace) => fetchWords(language, namespace)));
  await i18n.changeLanguage(language);
  document.documentElement.lang = language;
}

const loaded = new Set<string>(["common"]);

async function fetchWords(language: Language, namespace: string): Promise<void> {
  if (i18n.hasResourceBundle(language, namespace)) return;
  const file = FILES[`./${language}/${namespace}.json`];
  if (file) i18n.addResourceBundle(language, namespace, await file());
}

/** Has the words of a part of the app ready, in the reader's language and in English, which stands in. */
export async function loadWords(...namespaces: readonly string[]): Promise<void> {
  namespaces.forEach((one) => loaded.add(one));
  const languages = new Set<Language>(["en", i18n.language as Language]);
  await Promise.all([...languages].flatMap((language) => namespaces.map((one) => fetchWords(language, one))));
}

/** Begins with the reader's language; the common words are there afterwards. */
export async function startLanguage(): Promise<void> {
  const language = preferredLanguage();
  await i18n.use(initReactI18next).init({
    lng: language,
    fallbackLng: "en",
    defaultNS: "common",
    ns: ["common"],
    resources: { en: { common } },
    interpolation: { escapeValue: false },
    react: { useSuspense: false },
  });
  document.documentElement.lang = language;
  await loadWords("common");
}

/** The locale for numbers and dates: the browser's where it speaks the language that was chosen. */
export function localeOf(language: string): string {
  return navigator.languages.find((one) => one.toLowerCase().startsWith(language)) ?? language;
}
