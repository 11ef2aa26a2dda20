// Somebody looks after loops: raises a mode on evidence, says yes, sets by hand and gives back, resets a trip, reads
// the log; each time it is asked what became of it at the device. First the map of the ground, of vector tiles.
import { ask, axe, look, run, show, theme, told } from './page.mjs'

await run(async ({ page }) => {
  const found = { violations: {}, wide: {} }
  const sure = async (name) => {
    await page.getByRole('button', { name, exact: true }).click()
    await page.getByRole('group', { name, exact: true }).getByRole('button', { name: 'Yes' }).click()
  }

  const pieces = []
  page.on('response', (answer) => answer.url().endsWith('/api/map.pmtiles') && pieces.push(answer.status()))
  await show(page, '')
  await page.waitForFunction(() => Number(document.querySelector('.map')?.dataset.times) > 0)
  found.pieces = pieces
  for (const shade of ['light', 'dark']) {
    await theme(page, shade)
    await page.waitForTimeout(300) // the colours of the theme
    await page.locator('.map').screenshot({ path: `${told.out}/ground-vector-${shade}.png` })
  }
  await show(page, '?view=table')
  await page.locator('.loops a.shadow').getByText('2', { exact: true }).waitFor()
  found.strip = await page.locator('.loops').innerText()
  found.violations.strip = await axe(page)
  await page.locator('.loops a.shadow').click()
  await page.waitForURL(/act\?mode=shadow$/)
  await page.getByRole('link', { name: told.pump }).waitFor()
  await look(page, found, 'loops')

  await page.getByRole('link', { name: told.pump }).click()
  await page.getByText('speed from 0 to 100').waitFor()
  await page.getByText('local plan', { exact: true }).waitFor()
  await ask('propose')
  await page.getByText(/Judged in this mode: 2 of 2 commands/).waitFor() // it came by itself
  await page.getByRole('cell', { name: 'shadow: judged only', exact: true }).waitFor()
  await sure('Raise to Advisory')
  await page.locator('[aria-current=step]', { hasText: 'Advisory' }).waitFor()

  await ask('propose')
  await page.getByRole('cell', { name: 'speed = 40', exact: true }).waitFor()
  await look(page, found, 'loop')
  await sure('Approve')
  found.approved = await ask('approved')
  await page.locator('td.number', { hasText: / s$/ }).first().waitFor() // its lease runs
  await page.locator('.force', { hasText: 'speed = 20' }).waitFor() // and is over

  await page.getByLabel('speed').pressSequentially('130.5') // key by key: the point has to stay where it was typed
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab') // past how long it holds, to the button
  await page.keyboard.press('Enter')
  await page.keyboard.press('Enter')
  await page.getByText(/rejected\..*130\.5/).waitFor()
  found.refused = await page.locator('[aria-label="By hand"] [role=status]').innerText()
  await page.getByLabel('speed').fill('10')
  await sure('Set by hand')
  found.hand = await ask('hand')
  await page.locator('.force', { hasText: 'speed = 10' }).waitFor()
  await page.getByRole('cell', { name: 'until given back', exact: true }).waitFor()
  await sure('Give back to auto')
  found.back = await ask('back')
  await page.locator('.force', { hasText: 'speed = 20' }).waitFor()

  await page.getByLabel(/^Why, as evidence is missing/).fill('<i>tried</i> for a week')
  await sure('Raise to Supervised')
  await page.getByText(/has the watch until/).waitFor()
  await sure('Lower to Shadow')
  await page.locator('[aria-current=step]', { hasText: 'Shadow' }).waitFor()
  await page.locator('.log td', { hasText: '<i>tried</i> for a week' }).first().waitFor()
  found.log = await page.locator('.log tbody').innerText()
  await ask('tamper')
  await page.getByText('The log is broken at line 2.').waitFor()
  found.cut = await page.locator('.log tr', { has: page.locator('.cut') }).innerText()
  found.violations.broken = await axe(page)

  await show(page, 'act')
  await ask('trip')
  await page.locator('.tripped').first().waitFor()
  await page.getByRole('link', { name: told.valve }).click()
  await page.getByRole('heading', { name: /^Tripped/ }).waitFor()
  found.violations.tripped = await axe(page)
  await page.getByLabel('What was seen to').fill('a stone in the valve')
  await sure('Reset')
  await page.getByRole('heading', { name: /^Tripped/ }).waitFor({ state: 'detached' })

  await show(page, `act/${told.loop}`)
  const [file] = await Promise.all([page.waitForEvent('download'), sure('Download it')])
  await page.getByText(/lies among your downloads/).waitFor()
  await file.saveAs(`${told.out}/${file.suggestedFilename()}`)
  found.file = file.suggestedFilename()
  found.violations.file = await axe(page)

  await page.route('**/api/me', async (route) => {
    const answer = await route.fetch()
    await route.fulfill({ response: answer, json: { ...(await answer.json()), rights: ['read'] } })
  })
  await show(page, `act/${told.loop}`)
  await page.getByText(/takes the right “act”/).first().waitFor()
  found.buttons = await page.locator('main button:not(:disabled)').allInnerTexts()
  return found
})
