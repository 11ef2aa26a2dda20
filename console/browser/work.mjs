// What an engineer does: looks ahead, judges a model that waits beside the one that scores, promotes it and goes
// back, labels a span, lets a device in by a code, adds a project; all of it on the operator's own map.
import { axe, overflows, run, show, theme, told } from './page.mjs'

await run(async ({ page }) => {
  const found = { violations: {}, wide: {} }
  const pieces = []
  page.on('response', (answer) => answer.url().endsWith('/api/map.pmtiles') && pieces.push(answer.status()))

  await show(page, '')
  await page.locator('.map[data-drawn=true]').waitFor()
  await page.waitForFunction(() => Number(document.querySelector('.map').dataset.times) > 0)
  found.pieces = pieces
  await page.screenshot({ path: `${told.out}/overview-ground.png` })
  const slide = page.locator('input[type=range]')
  await page.waitForFunction(() => Number(document.querySelector('input[type=range]').max) >= 720)
  found.farthest = Number(await slide.getAttribute('max'))
  await page.getByRole('button', { name: 'Table' }).click()
  await slide.evaluate((input) => {
    input.value = '360'
    input.dispatchEvent(new Event('input', { bubbles: true }))
  })
  await page.getByRole('columnheader', { name: 'Foretold' }).waitFor()
  await page.waitForFunction(() => [...document.querySelectorAll('td.number')].some((one) => one.textContent.includes('L/s')))
  found.foretold = (await page.locator('td.number').allInnerTexts()).filter((one) => one.includes('L/s'))

  await show(page, 'models')
  const [scores, waits] = told.versions.map((one) => page.locator('tbody tr', { hasText: one }))
  await scores.getByText('Scores', { exact: true }).waitFor()
  await scores.locator('a').click()
  await page.locator('.drift').waitFor()
  found.drift = await page.locator('.drift').innerText()
  await page.locator('.map[data-drawn=true]').waitFor()
  found.judged = await page.getByRole('group', { name: 'Error of the last seven days' }).locator('tbody tr').count()
  for (const shade of ['light', 'dark']) {
    await theme(page, shade)
    found.violations[`models ${shade}`] = await axe(page)
    await page.screenshot({ path: `${told.out}/models-card-${shade}.png`, fullPage: true })
  }
  await theme(page, 'light')
  await page.setViewportSize({ width: 360, height: 740 })
  found.wide.models = await overflows(page)
  await page.setViewportSize({ width: 1280, height: 900 })

  await waits.locator('a').click()
  await page.getByRole('button', { name: 'Compare on live readings' }).click()
  await page.locator('.shadow tbody tr').nth(1).waitFor()
  found.shadow = await page.locator('.shadow tbody tr').allInnerTexts()
  const chosen = async (row, word) => {
    await row.getByRole('button', { name: word }).click()
    await row.getByRole('button', { name: 'Really?' }).click()
    await row.getByText('Scores', { exact: true }).waitFor()
  }
  await chosen(waits, 'Promote')
  await chosen(scores, 'Roll back')

  const now = Date.now()
  await show(page, `explore?streams=${told.stream}&from=${now - 3 * 86_400_000}&to=${now - 2 * 86_400_000}`)
  await page.getByLabel('Note').fill('<i>pump</i> off')
  await page.getByRole('button', { name: 'Label', exact: true }).click()
  await page.getByRole('cell', { name: '<i>pump</i> off' }).waitFor()
  found.label = await page.getByRole('group', { name: 'Labels' }).locator('tbody').innerText()
  found.violations.explore = await axe(page)
  await page.screenshot({ path: `${told.out}/explore-label.png` })

  await show(page, 'devices?tab=list')
  await page.getByLabel('Device', { exact: true }).fill('gauge-8')
  await page.getByLabel('Thing').selectOption({ label: 'DMA 2' })
  await page.getByRole('button', { name: 'Add device' }).click()
  await page.getByRole('img', { name: /^Code with node/ }).waitFor()
  found.code = await page.locator('.secret canvas').evaluate((one) => one.width)
  found.violations.device = await axe(page)
  await page.locator('.secret').screenshot({ path: `${told.out}/device-code.png` })

  await show(page, 'settings?tab=projects')
  await page.getByLabel('Project', { exact: true }).fill('harbour')
  await page.getByLabel('Description', { exact: true }).fill('Quays and locks')
  await page.getByRole('button', { name: 'Add project' }).click()
  await page.getByRole('cell', { name: 'harbour' }).waitFor()
  found.violations.projects = await axe(page)
  return found
})
