// What the console costs: bytes, times to what is seen, and memory while events come in. Times are the page's own.
import { ask, run, told } from './page.mjs'

const FRAMES = Math.min(120, told.alerts)
const MB = 1e6

await run(
  async ({ page, browser, errors }) => {
    const found = { load: await loads(browser) }
    found.turns = []
    for (let turn = 0; turn < told.turns; turn++) {
      found.turns.push({ ...(await chart(browser)), ...(await heat(page)), ...(await alerts(page)), ...(await map(page)) })
      await ask(`turn ${turn}`)
    }
    found.memory = told.seconds > 0 ? await memory(browser, errors) : null
    return found
  },
  { viewport: { width: 1280, height: 900 } },
)

/** A page of its own, that has nothing yet, and what a browser counts of it. */
async function fresh(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', locale: 'en-GB' })
  context.setDefaultTimeout(120_000)
  const page = await context.newPage()
  return { context, page, devtools: await context.newCDPSession(page) }
}

/** Bytes on the wire, packed by gzip: of the first screen as a table, then what its map brings. */
async function loads(browser) {
  const { context, page, devtools } = await fresh(browser)
  await devtools.send('Network.enable')
  await devtools.send('Network.setExtraHTTPHeaders', { headers: { 'accept-encoding': 'gzip' } })
  const paths = new Map()
  const bytes = { files: 0, answers: 0 }
  devtools.on('Network.requestWillBeSent', ({ requestId, request }) => paths.set(requestId, new URL(request.url).pathname))
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    bytes[paths.get(requestId)?.startsWith('/console') ? 'files' : 'answers'] += encodedDataLength
  })
  await page.goto(`${told.url}/console/?view=table`)
  await page.locator('tr.line').first().waitFor()
  const first = { ...bytes }
  await page.getByRole('button', { name: 'Map' }).click()
  await page.locator('.map[data-drawn=true]').waitFor()
  await drawn(page, 0)
  await context.close()
  return { first: first.files, answers: first.answers, map: bytes.files - first.files }
}

/** From the address to the first line that is drawn, with nothing kept from before. */
async function chart(browser) {
  const { context, page } = await fresh(browser)
  await page.goto(`${told.url}/console/explore?streams=${told.one}&from=-7d`)
  const ms = await when(page, () => (Number(document.querySelector('.plot')?.dataset.points) > 0 && document.querySelector('.plot canvas')) && performance.now())
  await context.close()
  return { chart_ms: ms }
}

async function heat(page) {
  await page.goto(`${told.url}/console/explore?from=-7d&heat=${told.group}`)
  const whole = await when(page, () => (Number(document.querySelector('canvas[data-drawn]')?.dataset.drawn) > 0) && performance.now())
  const { drawn, answered, asked } = await page.evaluate(() => {
    const [answer] = performance.getEntriesByType('resource').filter((one) => new URL(one.name).pathname === '/api/heat')
    return { drawn: Number(document.querySelector('canvas[data-drawn]').dataset.drawn), answered: answer.responseEnd, asked: answer.startTime }
  })
  const rows = await page.evaluate(() => document.querySelector('canvas[data-drawn]').height)
  return { heat_rows: rows, heat_draw_ms: drawn, heat_shown_ms: whole - answered, heat_answer_ms: answered - asked }
}

async function alerts(page) {
  await page.goto(`${told.url}/console/alerts`)
  const first = await when(page, () => (document.querySelectorAll('tr.line').length > 5) && performance.now())
  const begun = Date.now()
  await page.waitForFunction((rows) => {
    const box = document.querySelector('.long')
    box.scrollTop = box.scrollHeight
    return Number(box.querySelector('table').getAttribute('aria-rowcount')) > rows
  }, told.alerts, { polling: 50, timeout: 300_000 })
  const all = Date.now() - begun
  const frames = await page.evaluate(async (count) => {
    const box = document.querySelector('.long')
    const next = () => new Promise(requestAnimationFrame)
    box.scrollTop = 0
    await next()
    const step = (box.scrollHeight - box.clientHeight) / count
    const took = []
    let before = await next()
    for (let i = 0; i < count; i++) {
      box.scrollTop += step
      const now = await next()
      took.push(now - before)
      before = now
    }
    return took.sort((a, b) => a - b)
  }, FRAMES)
  const lines = await page.evaluate(() => document.querySelectorAll('tr.line').length)
  return { alerts_first_ms: first, alerts_all_ms: all, frame_p50_ms: frames[Math.floor(FRAMES / 2)], frame_p95_ms: frames[Math.floor(FRAMES * 0.95)], alerts_lines: lines }
}

/** Every Thing changes its mark: the time is moved to before they rang, and back. */
async function map(page) {
  await page.goto(`${told.url}/console/`)
  const first = await when(page, () => (document.querySelector('.map[data-drawn=true]')) && performance.now())
  await drawn(page, 0)
  await page.waitForTimeout(2000) // the fit to the sensors' places
  const slide = page.locator('input[type=range]')
  const took = []
  for (const minutes of [told.before, 0, told.before, 0]) {
    const times = Number(await page.locator('.map').getAttribute('data-times'))
    await slide.evaluate((input, value) => {
      input.value = `${value}`
      input.dispatchEvent(new Event('input', { bubbles: true }))
    }, minutes)
    took.push(await drawn(page, times))
  }
  return { map_first_ms: first, recolour_ms: took.slice(2).sort((a, b) => a - b)[1] } // the first two fetch what was
}

/** Wait until the map has been drawn once more; return how long that took. */
async function drawn(page, times) {
  await page.waitForFunction((before) => Number(document.querySelector('.map')?.dataset.times) > before, times, { polling: 20, timeout: 120_000 })
  return Number(await page.locator('.map').getAttribute('data-took'))
}

/** Wait for something to be on screen, looking at each frame; return the page's own clock then, which `seen` tells. */
async function when(page, seen) {
  const handle = await page.waitForFunction(seen, undefined, { polling: 'raf', timeout: 120_000 })
  return handle.jsonValue()
}

/** The heap, after what is no more needed was thrown away, while events come in. */
async function memory(browser, errors) {
  const { context, page, devtools } = await fresh(browser)
  page.on('pageerror', (cause) => errors.push(String(cause)))
  await devtools.send('Performance.enable')
  await page.goto(`${told.url}/console/explore?streams=${told.live}&from=-1h`)
  await when(page, () => (Number(document.querySelector('.plot')?.dataset.points) > 0) && performance.now())
  await page.waitForTimeout(1000)
  await ask('load')
  const samples = []
  const began = Date.now()
  for (;;) {
    await devtools.send('HeapProfiler.collectGarbage')
    const { metrics } = await devtools.send('Performance.getMetrics')
    const known = Object.fromEntries(metrics.map((one) => [one.name, one.value]))
    samples.push({ seconds: (Date.now() - began) / 1000, heap_mb: known.JSHeapUsedSize / MB, nodes: known.Nodes, listeners: known.JSEventListeners })
    if (Date.now() - began >= told.seconds * 1000) break
    await page.waitForTimeout(Math.min(told.every * 1000, told.seconds * 1000))
  }
  const points = await page.evaluate(() => Math.max(...[...document.querySelectorAll('.plot')].map((one) => Number(one.dataset.points))))
  await context.close()
  return { samples, points }
}
