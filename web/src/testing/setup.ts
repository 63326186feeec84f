// What happy-dom lacks and Mantine asks for.

import { vi } from "vitest";

window.matchMedia ??= (query: string) =>
  ({ matches: false, media: query, addEventListener: vi.fn(), removeEventListener: vi.fn(), addListener: vi.fn(), removeListener: vi.fn(), dispatchEvent: () => false, onchange: null });
window.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};
