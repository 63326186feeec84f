// How everything looks: a Mantine theme for the plain looks and one for the haunted. Colours of energy roles are CSS variables in `look.css`.

import { createTheme, mergeThemeOverrides, Notification, type MantineColorsTuple, type MantineThemeOverride } from "@mantine/core";
import type { Look } from "./look";

const sea: MantineColorsTuple = [
  "#e8f3fb", "#d3e4f3", "#a6c8e6", "#76abd9", "#5093cd", "#3884c6", "#2b7cc4", "#1c69ad", "#17507c", "#0b4069",
];
// One bright green for all that is filled; dark words stand on it.
const acid: MantineColorsTuple = [
  "#f4ffe0", "#e9ffc4", "#d5fd92", "#c6f968", "#b4f53c", "#b4f53c", "#b4f53c", "#b4f53c", "#b4f53c", "#9bdb26",
];
// What a dark look is made of, from its words (0) to its depths (9): fields, edges, menus.
const slate: MantineColorsTuple = [
  "#e8ecf1", "#c3ccd7", "#a9b4c2", "#8a96a5", "#414b58", "#2f3742", "#232a33", "#1d2229", "#171b21", "#101317",
];
const violet: MantineColorsTuple = [
  "#efe4ff", "#d9c6f5", "#bfa9da", "#a58bc6", "#5a3a85", "#3f2463", "#2b1646", "#211036", "#1a0c2c", "#150a22",
];

const common: MantineThemeOverride = {
  primaryShade: { light: 8, dark: 8 },
  autoContrast: true,
  luminanceThreshold: 0.2,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  headings: { fontWeight: "650" },
  components: {
    // By name, not by component: these are no part of what is loaded first.
    Alert: { styles: { title: { color: "var(--kw-text)" }, message: { color: "var(--kw-text)" } } },
    Menu: { defaultProps: { withInitialFocusPlaceholder: false }, styles: { label: { color: "var(--kw-quiet)" } } },
    Notification: Notification.extend({
      defaultProps: { closeButtonProps: { "aria-label": "Close" } },
      // Mantine's own grey below a title is too faint to read.
      styles: { description: { color: "var(--mantine-color-text)" } },
    }),
  },
};

const plain = mergeThemeOverrides(common, createTheme({ primaryColor: "sea", colors: { sea, dark: slate } }));
const haunted = mergeThemeOverrides(common, createTheme({ primaryColor: "acid", colors: { acid, dark: violet } }));

/** The theme of a look. */
export function themeOf(look: Look): MantineThemeOverride {
  return look === "haunted" ? haunted : plain;
}
