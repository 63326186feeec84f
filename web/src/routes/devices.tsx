import { Devices } from "~/features/devices/devices";

export function DevicesPage() {
  return <Devices />;
}
