import type { History, Streams } from '../api/kind'
import { times, valueAt } from './series'

const MOST = 64

/** The streams that have a forecast, as a request names them. */
export function sourcesOf(streams: Streams): string {
  return [...new Set(streams.source.filter((one) => one !== null))].slice(0, MOST).join(',')
}

/** What is foretold of each Thing at an instant, with its unit; of several series of a Thing the first. */
export function foretoldAt(ahead: History, at: number): Map<number, { value: number; unit: string }> {
  const found = new Map<number, { value: number; unit: string }>()
  for (const one of ahead.series) {
    if (one.kind !== 'forecast' || found.has(one.thing)) continue
    const value = valueAt(times(one.time), one.value, at)
    if (value !== null) found.set(one.thing, { value, unit: one.unit })
  }
  return found
}

/** Return the Things whose foretold reading at an instant lies outside the range declared for it. */
export function leavingAt(ahead: History, streams: Streams, at: number): Set<number> {
  const range = new Map(streams.id.map((id, i) => [id, [streams.low[i] ?? null, streams.high[i] ?? null] as const]))
  const found = new Set<number>()
  for (const one of ahead.series) {
    if (one.kind !== 'forecast') continue
    const value = valueAt(times(one.time), one.value, at)
    const [low, high] = range.get(one.stream) ?? [null, null]
    if (value !== null && ((low !== null && value < low) || (high !== null && value > high))) found.add(one.thing)
  }
  return found
}
