// Lines for a shell that send a reading with a device's token. Pure.

/** The usual one. */
const MQTT_PORT = 1883;

/** Over HTTP. */
export function curlLine(origin: string, device: string, token: string): string {
  const reading = JSON.stringify({ device, metrics: { power: 195.9 } });
  return `curl ${origin}/api/v1/readings -H 'Authorization: Bearer ${token}' \\\n  -H 'Content-Type: application/json' -d '${reading}'`;
}

/** Over MQTT. port: null where nobody knows it. */
export function mosquittoLine(host: string, port: number | null, organisation: string, device: string, token: string): string {
  const name = `${organisation}/${device}`;
  const topic = `${organisation}/devices/${device}/telemetry`;
  return `mosquitto_pub -h ${host} -p ${port ?? MQTT_PORT} -i ${name} -u ${name} -P '${token}' -q 1 \\\n  -t ${topic} -m '{"metrics": {"power": 195.9}}'`;
}
