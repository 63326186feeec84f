// A picture for a kind of device.

import {
  IconAirConditioning, IconBattery3, IconBolt, IconBuildingFactory2, IconBulb, IconCar, IconChargingPile, IconDeviceTv, IconEngine,
  IconFlame, IconFridge, IconGauge, IconMicrowave, IconPlug, IconRouter, IconSolarPanel, IconTemperature, IconToolsKitchen2,
  IconTransformPoint, IconWash, IconWindmill,
} from "@tabler/icons-react";
import { createElement, type ComponentType } from "react";

type Icon = ComponentType<{ size?: number | string; stroke?: number | string; "aria-hidden"?: boolean }>;

const ICONS = new Map<string, Icon>(Object.entries({
  fridge: IconFridge, freezer: IconFridge, "heat-pump": IconAirConditioning, television: IconDeviceTv, tv: IconDeviceTv,
  "washing-machine": IconWash, dryer: IconWash, dishwasher: IconToolsKitchen2, oven: IconMicrowave, microwave: IconMicrowave,
  lights: IconBulb, lamp: IconBulb, light: IconBulb, solar: IconSolarPanel, pv: IconSolarPanel, inverter: IconSolarPanel,
  battery: IconBattery3, storage: IconBattery3, car: IconCar, ev: IconCar, charger: IconChargingPile, wallbox: IconChargingPile,
  meter: IconGauge, grid: IconTransformPoint, connection: IconTransformPoint, wind: IconWindmill, generator: IconEngine,
  diesel: IconEngine, boiler: IconFlame, heater: IconFlame, industrial: IconBuildingFactory2, machine: IconBuildingFactory2,
  factory: IconBuildingFactory2, router: IconRouter, sensor: IconTemperature, thermostat: IconTemperature, appliance: IconPlug,
}));

/** icon: the one that was chosen for the device, where that is known here; else what its type says. */
export function DeviceIcon({ icon, type, size = 20 }: { icon?: string | null; type: string; size?: number }) {
  return createElement(ICONS.get(icon ?? "") ?? ICONS.get(type) ?? IconBolt, { size, stroke: 1.6, "aria-hidden": true });
}
