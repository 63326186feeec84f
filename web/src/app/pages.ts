// The pages of the app: address, the right that shows them in the navigation, and their words.

import {
  IconAdjustments, IconAlertTriangle, IconBolt, IconBuildingFactory2, IconChartLine, IconDeviceDesktopAnalytics,
  IconHome, IconListDetails, IconMailOff, IconShieldCog,
} from "@tabler/icons-react";
import type { ComponentType } from "react";

export interface PageEntry {
  readonly to: string;
  /** Key in `nav`. */
  readonly word: string;
  readonly icon: ComponentType<{ size?: number | string; stroke?: number | string }>;
  /** Whoever lacks it is not shown the page; null: for everybody. */
  readonly right: string | null;
  /** Whether it stands in the bar at the foot of a phone. */
  readonly isMain: boolean;
}

export const PAGES: readonly PageEntry[] = [
  { to: "/", word: "home", icon: IconHome, right: null, isMain: true },
  { to: "/devices", word: "devices", icon: IconBolt, right: "devices:read", isMain: true },
  { to: "/history", word: "history", icon: IconChartLine, right: "readings:read", isMain: true },
  { to: "/alerts", word: "alerts", icon: IconAlertTriangle, right: "alerts:read", isMain: true },
  { to: "/rules", word: "rules", icon: IconListDetails, right: "rules:read", isMain: false },
  { to: "/dead-letters", word: "dead-letters", icon: IconMailOff, right: "dead_letters:read", isMain: false },
  { to: "/control-room", word: "control-room", icon: IconDeviceDesktopAnalytics, right: "rules:read", isMain: false },
  { to: "/simulation", word: "simulation", icon: IconBuildingFactory2, right: "simulation:read", isMain: false },
  { to: "/administration", word: "administration", icon: IconShieldCog, right: "members:read", isMain: false },
  { to: "/settings", word: "settings", icon: IconAdjustments, right: null, isMain: false },
];
