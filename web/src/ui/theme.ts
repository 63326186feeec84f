// How everything looks: one Mantine theme, three looks. Colours of energy roles are CSS variables in `look.css`.

import { createTheme, Notification, type MantineColorsTuple } from "@mantine/core";

const sea: MantineColorsTuple = [
  "#e8f3fb", "#d3e4f3", "#a6c8e6", "#76abd9", "#5093cd", "#3884c6", "#2b7cc4", "#1c69ad", "#17507c", "#0b4069",
];
const acid: MantineColorsTuple = [
  "#f4ffe0", "#e9ffc4", "#d5fd92", "#c0fb5a", "#aefa2c", "#a2f910", "#9cf900", "#87dd00", "#76c500", "#62aa00",
];

export const theme = createTheme({
  primaryColor: "sea",
  primaryShade: { light: 8, dark: 8 },
  autoContrast: true,
  luminanceThreshold: 0.2,
  colors: { sea, acid },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  headings: { fontWeight: "650" },
  components: {
    // By name, not by component: the menu is no part of what is loaded first.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false }, styles: { label: { color: "var(--kw-quiet)" } } },
    Notification: Notification.extend({ defaultProps: { closeButtonProps: { "aria-label": "Close" } } }),
  },
});
