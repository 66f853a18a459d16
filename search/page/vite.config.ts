import { defineConfig } from "vite";

// Addresses are relative: the page works under any prefix. Nothing is inlined: the policy of the page allows no data: script.
export default defineConfig({
  base: "./",
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
});
