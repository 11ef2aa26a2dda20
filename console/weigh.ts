import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

/** A file that a browser gets in pieces is not worth packing below this many bytes. */
const LEAST = 1_000

/**
 * Weighs what a browser loads first, and fails the build above `most` bytes of gzip: the page, the
 * entry and the `opening` screens with everything they import at once, their style sheets. Then lays a `.gz` and a `.br` beside
 * every file that shrinks, so that the node packs nothing while it serves.
 */
export function weigh(most: number, opening: string[]): Plugin {
  let folder = ''
  let first: string[] = []
  return {
    name: 'nervure-weigh',
    apply: 'build',
    configResolved(config) {
      folder = join(config.root, config.build.outDir)
    },
    writeBundle(_options, bundle) {
      const seen = new Set<string>(['index.html'])
      const visit = (name: string): void => {
        const chunk = bundle[name]
        if (seen.has(name) || chunk?.type !== 'chunk') return
        seen.add(name)
        for (const style of chunk.viteMetadata?.importedCss ?? []) seen.add(style)
        chunk.imports.forEach(visit)
      }
      for (const [name, chunk] of Object.entries(bundle)) {
        if (chunk.type === 'chunk' && (chunk.isEntry || opening.includes(chunk.name))) visit(name)
      }
      first = [...seen]
    },
    closeBundle() {
      const sizes = first.map((name) => gzipSync(readFileSync(join(folder, name)), { level: 9 }).length)
      const whole = sizes.reduce((sum, one) => sum + one, 0)
      writeFileSync(join(folder, 'weight.json'), JSON.stringify({ first_load_gzip: whole, most, files: first }))
      if (whole > most) throw new Error(`the first load is ${whole} bytes of gzip; ${most} are allowed`)
      for (const name of readdirSync(folder, { recursive: true }) as string[]) pack(join(folder, name))
    },
  }
}

function pack(path: string): void {
  if (!statSync(path).isFile() || !/\.(js|mjs|css|html|svg|json)$/.test(path)) return
  const whole = readFileSync(path)
  if (whole.length < LEAST) return
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 10 }
  const packed = [
    ['.gz', gzipSync(whole, { level: 9 })],
    ['.br', brotliCompressSync(whole, { params: quality })],
  ] as const
  for (const [suffix, data] of packed) if (data.length < whole.length * 0.9) writeFileSync(path + suffix, data)
}
