// An alert from a device's message to somebody who acknowledges it; then filters, keys, and the evidence as it grows.
import { ask, run, show, told } from './page.mjs'

await run(async ({ page }) => {
  const found = {}
  await show(page, '?view=table') // the map is drawn by the processor here, which is what would be measured
  await page.locator('tr.line').first().waitFor()
  const incident = page.locator('.incidents li', { hasText: told.thing })
  found.before = await incident.count()
  found.seen_ms = []
  for (const [word, row] of [['first', page.locator('.incidents li', { hasText: told.other })], ['high water', incident]]) {
    const sent = await ask(word)
    await row.waitFor()
    found.seen_ms.push(Date.now() - sent * 1000)
  }
  await page.getByRole('button', { name: 'Map' }).click()
  found.word = await page.locator('.map-word', { hasText: `Critical · ${told.thing}` }).first().innerText()

  await incident.locator('a').click()
  await page.locator('main h1').waitFor()
  found.sentence = await page.locator('main h1').innerText()
  const plot = page.locator('[data-points]').first()
  await plot.waitFor()
  const points = async () => Number(await plot.getAttribute('data-points'))
  found.points = await points()
  await ask('one more')
  await page.waitForFunction((least) => Number(document.querySelector('[data-points]')?.dataset.points) > least, found.points)
  found.grown = await points()

  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click()
  await page.getByRole('button', { name: 'Acknowledged' }).waitFor()
  await page.getByRole('button', { name: 'Shelve' }).click()
  await page.getByLabel('Reason').fill('<b>works</b> on the dam')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.locator('header').getByText('Shelved until').waitFor()
  await page.getByRole('button', { name: 'Label' }).click()
  await page.getByLabel('Planned work').check()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.locator('header').getByText('Planned work').waitFor()
  found.trail = await page.locator('.trail').innerText()
  await page.screenshot({ path: `${told.out}/incident-answered.png`, fullPage: true })

  await show(page, 'alerts')
  await page.getByLabel('Severity').first().selectOption('critical')
  await page.getByLabel('State').first().selectOption('unacknowledged')
  await page.waitForURL(/state=unacknowledged/)
  await page.reload()
  await page.locator('main h1').waitFor()
  found.kept = [await page.getByLabel('Severity').first().inputValue(), await page.getByLabel('State').first().inputValue()]
  await page.waitForFunction(() => document.querySelectorAll('tr.line').length > 0)
  found.left = await page.locator('tr.line', { hasText: told.thing }).count()
  await page.locator('tr.line').first().focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Home')
  await page.keyboard.press('Enter')
  await page.waitForURL(/alerts\/[0-9a-f]+$/)
  await page.goBack()
  await page.waitForURL(/state=unacknowledged/)
  found.back = await page.getByLabel('State').first().inputValue()
  return found
})
