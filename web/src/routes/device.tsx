import { useParams } from "@tanstack/react-router";
import { Device } from "~/features/devices/device";

export function DevicePage() {
  const { device } = useParams({ strict: false }) as { device: string };
  return <Device key={device} id={device} />;
}
