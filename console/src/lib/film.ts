/** One quantity of a film: `value [name, step]`. */
export interface Track {
  signal: string
  unit: string
  names: string[]
  value: (number | null)[][]
}

export interface Side {
  kpis: Record<string, number | null>
  tracks: Track[]
}

/** A film of a what-if, as `nervure twin film` writes it: two runs on one seed. */
export interface Film {
  twin: string
  engine: string
  seed: number
  step_s: number
  steps: number
  units: Record<string, string>
  lines: { name: string; points: [number, number][] }[]
  base: Side
  do: Side
}

export type Point = [number, number]

/** What one standing car takes of its lane, in metres. */
const CAR_M = 7.5

/** A track by its signal. */
export function track(side: Side, signal: string): Track | undefined {
  return side.tracks.find((one) => one.signal === signal)
}

/** The value of a name at a step. */
export function valueAtStep(one: Track | undefined, name: string, step: number): number | null {
  const row = one?.names.indexOf(name) ?? -1
  return row < 0 ? null : (one?.value[row]?.[step] ?? null)
}

/** The sum over all names at each step: how many stand in the whole net. */
export function total(one: Track | undefined, steps: number): number[] {
  return Array.from({ length: steps }, (_, step) => (one?.value ?? []).reduce((sum, row) => sum + (row[step] ?? 0), 0))
}

/** What a film's quantities are called where one has to be chosen: `signal, name`. */
export function named(film: Film): { signal: string; name: string }[] {
  return film.do.tracks.filter((one) => one.signal !== 'light').flatMap((one) => one.names.map((name) => ({ signal: one.signal, name })))
}

/** The course of one quantity over a run. */
export function course(side: Side, signal: string, name: string): (number | null)[] {
  const one = track(side, signal)
  return one?.value[one.names.indexOf(name)] ?? []
}

/** The lowest and the highest of what is known. */
export function extent(...values: (number | null)[][]): [number, number] {
  let [low, high] = [Infinity, -Infinity]
  for (const row of values) {
    for (const one of row) {
      if (one === null) continue
      low = Math.min(low, one)
      high = Math.max(high, one)
    }
  }
  return low > high ? [0, 1] : [low, high]
}

/** The last `metres` of a line, from where it ends backwards: where a queue stands. */
export function tail(points: Point[], metres: number): Point[] {
  const found: Point[] = []
  let left = metres
  for (let at = points.length - 1; at >= 0; at--) {
    const here = points[at] as Point
    found.push(here)
    const before = points[at - 1]
    if (!before || left <= 0) break
    const length = Math.hypot(before[0] - here[0], before[1] - here[1])
    if (length >= left) {
      const share = left / length
      found.push([here[0] + (before[0] - here[0]) * share, here[1] + (before[1] - here[1]) * share])
      break
    }
    left -= length
  }
  return found
}

/** How far a queue of so many cars reaches. */
export function queueLength(cars: number): number {
  return cars * CAR_M
}

/** A scale that fits lines into a box with an edge, north up. */
export function fitted(lines: { points: Point[] }[], width: number, height: number, edge: number): (point: Point) => Point {
  const all = lines.flatMap((one) => one.points)
  const [west, east] = extent(all.map((one) => one[0]))
  const [south, north] = extent(all.map((one) => one[1]))
  const scale = Math.min((width - 2 * edge) / (east - west || 1), (height - 2 * edge) / (north - south || 1))
  const [left, top] = [(width - (east - west) * scale) / 2, (height - (north - south) * scale) / 2]
  return ([x, y]) => [left + (x - west) * scale, top + (north - y) * scale]
}

/** Points of a line chart in a box of `steps` by `height`; a gap ends a piece and begins another. */
export function pieces(values: (number | null)[], [low, high]: [number, number], height: number): string[] {
  const found: string[][] = [[]]
  values.forEach((value, at) => {
    if (value === null) found.push([])
    else found.at(-1)?.push(`${at},${(height - 1 - ((height - 2) * (value - low)) / (high - low || 1)).toFixed(2)}`)
  })
  return found.filter((one) => one.length).map((one) => one.join(' '))
}
