import { MARKS } from './mark'
import type { Spot } from './place'

/** Points as a buffer of `x, y, kind`, kind 0 without a mark, else its place in MARKS from 1; what is drawn last is on top. */
export interface Laid {
  dots: Float32Array
  ids: number[]
  /** Where `x, y` are counted from, in the plane of the projection. */
  origin: [number, number]
}

/** Lay out what has a place: Things without a mark first, then by their marks, the worst last. */
export function layDots(spots: Spot[], project: (lon: number, lat: number) => [number, number]): Laid {
  const placed = spots.filter((one) => one.lon !== null && one.lat !== null)
  const rows: Spot[][] = Array.from({ length: MARKS.length + 1 }, () => [])
  for (const one of placed) rows[one.mark ? MARKS.indexOf(one.mark) + 1 : 0]?.push(one)
  const sorted = [rows[0] ?? [], ...rows.slice(1).reverse()].flat()
  const first = sorted[0]
  const origin = first ? project(first.lon ?? 0, first.lat ?? 0) : ([0, 0] as [number, number])
  const dots = new Float32Array(3 * sorted.length)
  sorted.forEach((one, at) => {
    const [x, y] = project(one.lon ?? 0, one.lat ?? 0)
    dots[3 * at] = x - origin[0]
    dots[3 * at + 1] = y - origin[1]
    dots[3 * at + 2] = one.mark ? MARKS.indexOf(one.mark) + 1 : 0
  })
  return { dots, ids: sorted.map((one) => one.id), origin }
}

/** The nearest point within `most` of a place in the plane, of equals the one on top; null where there is none. */
export function nearest(laid: Laid, x: number, y: number, most: number): number | null {
  let found: number | null = null
  let least = most * most
  for (let at = 0; at < laid.ids.length; at++) {
    const dx = (laid.dots[3 * at] ?? 0) - (x - laid.origin[0])
    const dy = (laid.dots[3 * at + 1] ?? 0) - (y - laid.origin[1])
    const away = dx * dx + dy * dy
    if (away <= least) {
      least = away
      found = laid.ids[at] ?? null
    }
  }
  return found
}
