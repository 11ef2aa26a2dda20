// Every screen in both themes and two widths: does it show data, does axe find anything, is anything cut off.
import { axe, hidden, overflows, run, show, theme, told } from './page.mjs'

await run(async ({ page }) => {
  const violations = {}
  const wide = {}
  const texts = {}
  const out = {}
  for (const [name, { path, waits }] of Object.entries(told.screens)) {
    await show(page, path)
    for (const one of waits) await page.locator(one).first().waitFor({ state: 'attached' })
    texts[name] = (await page.locator('main').innerText()).slice(0, 4000)
    for (const shade of ['light', 'dark']) {
      await theme(page, shade)
      violations[`${name} ${shade}`] = await axe(page)
      await page.screenshot({ path: `${told.out}/${name}-${shade}.png` })
    }
    await page.setViewportSize({ width: 360, height: 740 })
    wide[name] = await overflows(page)
    out[name] = await hidden(page, 'nav [aria-current]')
    await page.screenshot({ path: `${told.out}/${name}-small.png` })
    await page.setViewportSize({ width: 1280, height: 900 })
  }
  return { violations, wide, texts, out }
})
