// Somebody asks what would be if: the question runs to its end beside the node, another is cancelled; the answer is
// looked at as a plot, a table and a film, and is there after the page was loaded anew. Another begins where a twin is
// that runs.
import { ask, axe, look, run, show } from './page.mjs'

await run(async ({ page }) => {
  const found = { violations: {}, wide: {} }
  const rows = page.getByRole('group', { name: 'What was asked' }).locator('tbody tr')

  await show(page, 'twin')
  await page.getByRole('cell', { name: 'roads', exact: true }).waitFor()
  found.twins = await page.getByRole('group', { name: 'Twins' }).locator('tbody tr').count()
  await page.getByLabel('Question').selectOption('shut')
  await page.getByLabel('shut_lane').fill('2')
  await page.getByLabel('Simulated minutes').fill('2')
  await page.getByLabel('Pairs of runs').fill('2')
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await rows.getByText('Runs', { exact: true }).waitFor()

  await page.getByLabel('Question').selectOption('rush')
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await rows.first().getByText('Waits', { exact: true }).waitFor()
  await rows.first().getByRole('button', { name: 'Cancel' }).click()
  await rows.first().getByRole('button', { name: 'Yes' }).click()
  await rows.first().getByText('Cancelled').waitFor()
  await look(page, found, 'twin')

  await rows.nth(1).getByText('Done', { exact: true }).waitFor({ timeout: 60_000 })
  found.elsewhere = await ask('elsewhere')
  await rows.first().getByText('the gate of the basin opens').waitFor() // what another page asked, by itself
  await rows.nth(2).locator('a').click()
  await page.locator('.film').waitFor()
  found.figures = await page.getByRole('group', { name: 'What it changes' }).locator('tbody tr').count()
  found.bars = await page.locator('svg .span').count()
  const canvas = page.locator('.film canvas')
  const painted = () => canvas.evaluateAll((all) => all.map((one) => one.toDataURL().length + one.toDataURL()))
  const before = await painted()
  found.before = Number(await page.locator('.film').getAttribute('data-step'))
  await page.getByRole('button', { name: 'Play' }).click()
  await page.waitForFunction(() => Number(document.querySelector('.film').dataset.step) === Number(document.querySelector('.film').dataset.steps) - 1)
  await page.getByRole('button', { name: 'Play' }).waitFor() // it stops by itself
  found.moved = (await painted()).map((one, i) => one !== before[i])
  await page.getByLabel('Moment of the run').focus()
  await page.keyboard.press('Home')
  await page.waitForFunction(() => document.querySelector('.film').dataset.step === '0')
  await look(page, found, 'whatif')
  await page.locator('.film').getByRole('button', { name: 'Table' }).click()
  await page.locator('.film tr.line').first().waitFor()
  found.lanes = await page.locator('.film tr.line').count()
  found.violations.table = await axe(page)
  await page.reload()
  await page.locator('.film').waitFor()
  found.title = await page.locator('h1').innerText()

  await page.getByRole('link', { name: 'All what-ifs' }).click()
  await rows.first().getByText('Done', { exact: true }).waitFor({ timeout: 60_000 })
  await rows.first().locator('a').click()
  await page.locator('.boards .bars').first().waitFor()
  found.boards = await page.locator('.boards figure').count()
  await page.getByRole('combobox', { name: 'Over the run' }).selectOption({ index: 1 })
  await look(page, found, 'board')

  await page.getByRole('link', { name: 'All what-ifs' }).click()
  await page.getByLabel('Question').selectOption('shut')
  found.elsewhereNow = await page.getByLabel('From now').count() // no such twin runs
  await page.getByLabel('Question').selectOption('gate')
  found.circumstances = [await page.getByRole('group', { name: 'Circumstances' }).count()]
  await page.getByLabel('From now').check()
  found.circumstances.push(await page.getByRole('group', { name: 'Circumstances' }).count())
  await page.getByLabel('Keep a film').uncheck()
  await page.getByLabel('Pairs of runs').fill('3')
  await look(page, found, 'now')
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await rows.first().getByText('From now').waitFor()
  await rows.first().getByText('Done', { exact: true }).waitFor({ timeout: 60_000 })
  await rows.first().locator('a').click()
  found.says = await page.locator('p.quiet', { hasText: 'From now' }).first().innerText()
  return found
})
