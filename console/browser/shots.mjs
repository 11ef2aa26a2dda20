// The pictures of the documents: four screens as they are, small.
import { writeFileSync } from 'node:fs'
import { run, show, told } from './page.mjs'

await run(
  async ({ page, context }) => {
    const devtools = await context.newCDPSession(page)
    const found = {}
    for (const [name, { path, waits, shade }] of Object.entries(told.screens)) {
      await page.emulateMedia({ colorScheme: shade, reducedMotion: 'reduce' })
      await show(page, path)
      for (const one of waits) await page.locator(one).first().waitFor({ state: 'attached' })
      await page.waitForTimeout(1500) // what is drawn a moment later: places on the map, charts
      const { data } = await devtools.send('Page.captureScreenshot', { format: 'webp', quality: 82 })
      const picture = Buffer.from(data, 'base64')
      writeFileSync(`${told.out}/${name}.webp`, picture)
      found[name] = picture.length
    }
    return { bytes: found }
  },
  { viewport: { width: 1280, height: 800 } },
)
