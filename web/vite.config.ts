/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** The server that `npm run dev` passes requests on to. */
const SERVER = process.env.KILOWATCH_URL ?? "http://127.0.0.1:8000";

const COMPRESSED = /\.(js|css|html|svg|webmanifest)$/;
const COMPRESSED_FROM_BYTES = 1024;

/** Begins the name of files that several pages share. */
const SHARED = "shared";
const MERGED_BELOW_BYTES = 6_000;

/** Writes each text of the app compressed, too, so that the server need not do it for every visitor. */
function compress(): Plugin {
  let folder = "";
  return {
    name: "kilowatch-compress",
    apply: "build",
    configResolved: (config) => {
      folder = config.build.outDir;
    },
    closeBundle: () => {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf-8" })) {
        const path = join(folder, name);
        if (!COMPRESSED.test(name) || statSync(path).size < COMPRESSED_FROM_BYTES) continue;
        const content = readFileSync(path);
        writeFileSync(`${path}.br`, brotliCompressSync(content));
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), compress()],
  resolve: { alias: { "~": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: process.env.KILOWATCH_WEB_OUT ?? "../src/kilowatch/web/dist",
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    // What the frame and several pages share comes in few files: each one is a way to the server.
    rolldownOptions: {
      output: {
        codeSplitting: { groups: [{ name: SHARED, minShareCount: 2, entriesAware: true, entriesAwareMergeThreshold: MERGED_BELOW_BYTES }] },
        chunkFileNames: ({ name }) => `assets/${name.startsWith(SHARED) ? SHARED : "[name]"}-[hash].js`,
      },
    },
  },
  server: { proxy: { "/api": { target: SERVER, ws: true, changeOrigin: false } } },
  test: {
    environment: "happy-dom",
    setupFiles: ["src/testing/setup.ts"],
    env: { TZ: "Europe/Berlin" },
    include: ["src/**/*.test.{ts,tsx}"],
  },
});
