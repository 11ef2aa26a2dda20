/** Undo the differences that instants are sent as. */
export function times(steps: number[]): number[] {
  const found = new Array<number>(steps.length)
  let at = 0
  for (let i = 0; i < steps.length; i++) found[i] = at += steps[i] ?? 0
  return found
}

/** The value at an instant or the last before it; null before the first, and after the last. */
export function valueAt(time: number[], value: (number | null)[], at: number): number | null {
  const last = time[time.length - 1]
  if (last === undefined || at > last) return null
  let low = 0
  let high = time.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((time[middle] ?? 0) <= at) low = middle + 1
    else high = middle
  }
  return low ? (value[low - 1] ?? null) : null
}

export interface Line {
  time: number[]
  value: (number | null)[]
}

/** Break a line where nothing was measured: a null just after the last value before each gap. */
export function broken(line: Line, gaps: [number, number][]): Line {
  if (!gaps.length) return line
  const time: number[] = []
  const value: (number | null)[] = []
  const starts = gaps.map(([from]) => from).sort((a, b) => a - b)
  let next = 0
  for (let i = 0; i < line.time.length; i++) {
    const at = line.time[i] ?? 0
    let cut = false
    while (next < starts.length && (starts[next] ?? 0) < at) {
      cut = true
      next++
    }
    if (cut && i) {
      time.push((line.time[i - 1] ?? 0) + 1)
      value.push(null)
    }
    time.push(at)
    value.push(line.value[i] ?? null)
  }
  return { time, value }
}

/** Lay lines over one axis of time, as uPlot wants them: undefined where a line has no point of its own. */
export function joined(lines: Line[]): [number[], ...(number | null | undefined)[][]] {
  const axis = [...new Set(lines.flatMap((one) => one.time))].sort((a, b) => a - b)
  const place = new Map(axis.map((at, i) => [at, i]))
  const columns = lines.map((one) => {
    const column = new Array<number | null | undefined>(axis.length).fill(undefined)
    one.time.forEach((at, i) => (column[place.get(at) ?? 0] = one.value[i] ?? null))
    return column
  })
  return [axis, ...columns]
}

/** Add live readings to a line, leaving out what is not newer, and what falls out in front of `from`. */
export function grown(line: Line, time: number[], value: (number | null)[], from: number): Line {
  const last = line.time[line.time.length - 1] ?? -Infinity
  const more = time.map((at, i) => [at, value[i] ?? null] as const).filter(([at]) => at > last)
  if (!more.length) return line
  more.sort((a, b) => a[0] - b[0])
  const first = line.time.findIndex((at) => at >= from)
  const start = first < 0 ? line.time.length : first
  return {
    time: [...line.time.slice(start), ...more.map(([at]) => at)],
    value: [...line.value.slice(start), ...more.map(([, one]) => one)],
  }
}
