import type { Overview, Severity, Slim, Things } from '../api/kind'
import { SEVERITIES } from '../api/kind'
import { markOf, MARKS, type Mark } from './mark'

/** A Thing as the map and its table show it. */
export interface Spot {
  id: number
  name: string
  lon: number | null
  lat: number | null
  mark: Mark | null
  open: number
}

/** Join what never changes of Things with how they are now. */
export function spots(things: Things, overview: Overview): Spot[] {
  const names = new Map(things.id.map((id, i) => [id, things.name[i] ?? '']))
  const { things: now, abnormal: wrong } = overview
  const at = new Map(wrong.thing.map((id, i) => [id, i]))
  return now.id.map((id, i) => {
    const place = at.get(id) ?? -1
    return {
      id,
      name: names.get(id) ?? `${id}`,
      lon: now.lon[i] ?? null,
      lat: now.lat[i] ?? null,
      mark: markOf(overview.states[now.state[i] ?? -1], overview.severities[wrong.severity[place] ?? -1]),
      open: wrong.open[place] ?? 0,
    }
  })
}

/** Show Things as they stood at an instant, by the alerts that were open then. */
export function spotsAt(now: Spot[], alerts: Slim[], at: number): Spot[] {
  const open = new Map<number, Severity[]>()
  for (const one of alerts) {
    if (one.raised > at || (one.end !== null && one.end <= at)) continue
    const before = open.get(one.thing)
    if (before) before.push(one.severity)
    else open.set(one.thing, [one.severity])
  }
  return now.map((spot) => {
    const found = open.get(spot.id) ?? []
    return { ...spot, mark: SEVERITIES.find((one) => found.includes(one)) ?? null, open: found.length }
  })
}

/** Show which Things are foretold to leave their range: a mark of its own, for it has not happened. */
export function spotsAhead(now: Spot[], leaving: Set<number>): Spot[] {
  return now.map((spot) => ({ ...spot, mark: leaving.has(spot.id) ? ('predicted' as const) : null, open: 0 }))
}

/** What is abnormal, the worst first. */
export function abnormal(all: Spot[]): Spot[] {
  const found = all.filter((one) => one.mark)
  return found.sort((a, b) => MARKS.indexOf(a.mark as Mark) - MARKS.indexOf(b.mark as Mark) || b.open - a.open)
}

/** The rectangle that holds every place, null where nothing has one: `[west, south, east, north]`. */
export function bounds(all: Spot[]): [number, number, number, number] | null {
  let found: [number, number, number, number] | null = null
  for (const { lon, lat } of all) {
    if (lon === null || lat === null) continue
    found = found
      ? [Math.min(found[0], lon), Math.min(found[1], lat), Math.max(found[2], lon), Math.max(found[3], lat)]
      : [lon, lat, lon, lat]
  }
  return found
}
