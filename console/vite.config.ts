import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'
import { weigh } from './weigh.ts'

export default defineConfig({
  base: '/console/',
  plugins: [svelte(), weigh(80_000, ['Overview'])],
  worker: { format: 'es' },
  build: {
    outDir: '../src/nervure/serve/static',
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the content security policy lets nothing in but files of ours
    chunkSizeWarningLimit: 1200,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8088', '/v1.1': 'http://127.0.0.1:8088' } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
