import { afterEach, expect, it, vi } from 'vitest'
import { city } from './city.svelte'

afterEach(() => vi.unstubAllGlobals())

it('the next person at this screen sees nothing of what the one before saw', async () => {
  const asked: (() => void)[] = []
  const answer = (path: string): Response =>
    new Response(JSON.stringify(path.includes('things') ? { id: [1], name: ['secret'] } : { incidents: [{ id: 'a' }], counts: {} }))
  vi.stubGlobal('fetch', (path: string) => new Promise<Response>((done) => asked.push(() => done(answer(path)))))
  vi.stubGlobal('EventSource', class { addEventListener(): void {} close(): void {} })
  for (const name of ['addEventListener', 'removeEventListener']) vi.stubGlobal(name, () => undefined)
  vi.stubGlobal('window', globalThis)
  const leave = city.begin()
  asked.splice(0).forEach((tell) => tell())
  await vi.waitFor(() => expect(city.things).not.toBeNull())
  const late = city.fetch()
  leave()
  asked.splice(0).forEach((tell) => tell())
  await late
  expect([city.things, city.overview, city.strip, city.incidents]).toEqual([null, null, null, []])
})
