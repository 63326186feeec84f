import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The server that `npm run dev` passes requests on to. */
const SERVER = process.env.KILOWATCH_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "~": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: process.env.KILOWATCH_WEB_OUT ?? "../src/kilowatch/web/dist",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": { target: SERVER, ws: true, changeOrigin: false } } },
  test: {
    environment: "happy-dom",
    setupFiles: ["src/testing/setup.ts"],
    env: { TZ: "Europe/Berlin" },
    include: ["src/**/*.test.{ts,tsx}"],
  },
});
