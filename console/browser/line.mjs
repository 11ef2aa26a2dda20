// The line to the node breaks and comes back; and a language is chosen and kept.
import { run, show } from './page.mjs'

await run(async ({ page, context, errors }) => {
  await show(page, '')
  await page.locator('.map[data-drawn=true]').waitFor()
  const banner = page.locator('.away')
  const before = await banner.count()
  await context.setOffline(true)
  await banner.waitFor()
  const said = await banner.innerText()
  const complaints = errors.splice(0).filter((one) => !one.includes('ERR_INTERNET_DISCONNECTED'))
  await context.setOffline(false)
  await banner.waitFor({ state: 'detached' })
  errors.push(...complaints)
  await page.locator('.who summary').click()
  await page.getByLabel('Language').selectOption('de')
  await page.getByRole('link', { name: 'Überblick' }).waitFor()
  await page.reload()
  await page.getByRole('link', { name: 'Überblick' }).waitFor()
  return { before, said, language: await page.evaluate(() => document.documentElement.lang) }
})
