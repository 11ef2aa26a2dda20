// Somebody signs in, does something, and signs out; a wrong password is said to be wrong.
import { axe, run, told } from './page.mjs'

await run(async ({ page }) => {
  const found = {}
  await page.goto(`${told.url}/`)
  await page.getByLabel('Name').fill('admin')
  found.violations = await axe(page)
  await page.getByLabel('Password').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  found.refused = await page.locator('[role=alert]').innerText()
  await page.getByLabel('Password').fill(told.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('nav').waitFor()
  found.address = page.url().replace(told.url, '')
  found.screens = await page.locator('nav a').allInnerTexts()
  await page.goto(`${told.url}/console/settings?tab=users`)
  await page.getByLabel('Name', { exact: true }).fill('maria')
  await page.getByRole('combobox', { name: 'Role', exact: true }).selectOption('operator')
  await page.getByLabel('Password').fill('correct horse battery staple')
  await page.getByRole('button', { name: 'Add user' }).click()
  await page.getByRole('cell', { name: 'maria', exact: true }).waitFor()
  await page.goto(`${told.url}/console/settings?tab=tokens`)
  await page.getByLabel('Name', { exact: true }).fill('reports')
  await page.getByRole('button', { name: 'Make token' }).click()
  found.token = await page.locator('.secret code').innerText()
  await page.goto(`${told.url}/console/settings?tab=audit`)
  found.audit = await page.locator('tbody').innerText()
  await page.locator('.who summary').click()
  found.role = await page.locator('.who p').first().innerText()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Password').waitFor()

  await page.getByLabel('Name').fill('admin')
  await page.getByLabel('Password').fill(told.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('nav').waitFor()
  const { csrf } = await (await page.request.get(`${told.url}/api/me`)).json()
  const ended = await page.request.post(`${told.url}/api/logout`, { headers: { 'x-csrf-token': csrf } })
  found.ended = ended.status() // elsewhere, as a second window or an administrator would
  await page.getByLabel('Password').waitFor()
  found.cookies = (await page.context().cookies()).filter((one) => one.value).length
  return found
})
