// What every script of the browser shares: a page that counts its errors, axe, and word to the test.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const require = createRequire(import.meta.url)
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

export const told = JSON.parse(process.argv[2])
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Let the test do something outside the browser, and take its answer. */
export async function ask(word) {
  console.log(`ready ${word}`)
  return JSON.parse((await answers.next()).value)
}

/** Run a script: open a browser, do the work, say what was found and which errors the console showed. */
export async function run(work, wish = {}) {
  const browser = await chromium.launch({
    executablePath: told.chromium,
    args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--use-angle=swiftshader', '--ignore-gpu-blocklist'],
  })
  const errors = []
  try {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 900 },
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'Europe/Rome',
      ...wish,
    })
    context.setDefaultTimeout(30_000)
    const page = await context.newPage()
    watch(page, errors)
    const found = await work({ page, context, browser, errors })
    console.log(`found ${JSON.stringify({ ...found, errors })}`)
  } catch (cause) {
    console.error(errors.join('\n'))
    for (const page of browser.contexts().flatMap((one) => one.pages())) {
      console.error(page.url(), (await page.locator('body').innerText()).slice(0, 1500))
      await page.screenshot({ path: `${told.out}/failed.png` })
    }
    throw cause
  } finally {
    await browser.close()
    process.stdin.destroy()
  }
}

/** Count what a page complains of; that nobody has signed in yet is no complaint. */
export function watch(page, errors) {
  page.on('console', (said) => {
    const refused = said.text().startsWith('Failed to load resource: the server responded')
    if (!refused && (said.type() === 'error' || said.type() === 'warning')) errors.push(said.text())
  })
  page.on('response', (answer) => {
    const path = new URL(answer.url()).pathname
    const before = answer.status() === 401 && (path === '/api/me' || path === '/api/login')
    if (answer.status() >= 400 && !before) errors.push(`${answer.status()} ${answer.url()}`)
  })
  page.on('pageerror', (cause) => errors.push(String(cause.stack ?? cause)))
  page.on('dialog', (dialog) => {
    errors.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
}

/** Go to a screen and wait until its heading stands and nothing is being fetched. */
export async function show(page, path) {
  await page.goto(`${told.url}/console/${path}`)
  await page.locator('main h1').first().waitFor({ state: 'attached' })
}

/** What axe finds wrong: rule, how bad, and where. */
export async function axe(page) {
  await page.evaluate(AXE)
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  )
  return found.violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary ?? ''}`).join(' | ')}`)
}

/** Show the page as somebody sees it whose system is light or dark. */
export async function theme(page, name) {
  await page.emulateMedia({ colorScheme: name, reducedMotion: 'reduce' })
}

/** Whether the page is wider than its window. */
export function overflows(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

/** By how many pixels an element lies outside of the window, from side to side. */
export function hidden(page, selector) {
  return page.locator(selector).evaluate(async (one) => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
    const { left, right } = one.getBoundingClientRect()
    return Math.ceil(Math.max(0, -left, right - document.documentElement.clientWidth))
  })
}

/** Look at a screen in both themes and on a telephone: what axe finds, whether it is too wide, pictures. */
export async function look(page, found, name) {
  for (const shade of ['light', 'dark']) {
    await theme(page, shade)
    found.violations[`${name} ${shade}`] = await axe(page)
    await page.screenshot({ path: `${told.out}/${name}-${shade}.png`, fullPage: true })
  }
  await page.setViewportSize({ width: 360, height: 740 })
  found.wide[name] = await overflows(page)
  await page.screenshot({ path: `${told.out}/${name}-small.png` })
  await page.setViewportSize({ width: 1280, height: 900 })
}
