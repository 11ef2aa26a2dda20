// A device is added and shut out, a message is tried, and what could not be taken is seen with its reason.
import { ask, run, show } from './page.mjs'

await run(async ({ page }) => {
  const found = {}
  await show(page, 'devices?tab=list')
  await page.getByLabel('Device', { exact: true }).fill('gauge-7')
  await page.getByLabel('Thing').selectOption({ label: 'DMA 1' })
  await page.getByRole('button', { name: 'Add device' }).click()
  found.token = await page.locator('.secret code').innerText()
  await page.getByRole('button', { name: 'Kept' }).click()
  const row = page.locator('tbody tr', { hasText: 'gauge-7' })
  await row.getByRole('button', { name: 'Revoke' }).click()
  await row.getByRole('button', { name: 'Really?' }).click()
  await row.getByText('Shut out').waitFor()

  await show(page, 'devices?tab=bench')
  await page.getByRole('button', { name: 'Try' }).click()
  found.taken = await page.locator('main [role=status]').innerText()
  await page.getByLabel('Payload').fill('{"result": ')
  await page.getByRole('button', { name: 'Try' }).click()
  await page.getByText('This would not be taken.').waitFor()

  await ask('nonsense')
  await show(page, 'devices?tab=quarantine')
  found.quarantine = await page.locator('tbody').innerText()
  return found
})
