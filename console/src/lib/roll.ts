/** Which rows of a long table are drawn: those in sight and a few around, `[first, last)`. */
export function rowsInSight(scroll: number, height: number, row: number, count: number, around = 8): [number, number] {
  const first = Math.max(0, Math.floor(scroll / row) - around)
  const last = Math.min(count, Math.ceil((scroll + height) / row) + around)
  return [Math.min(first, Math.max(0, last)), last]
}

/** Where the focus goes in a table of `count` rows; null where the key moves nothing. */
export function step(key: string, at: number, count: number, page = 10): number | null {
  const moves: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  }
  const to = moves[key]
  return to === undefined || count === 0 ? null : Math.max(0, Math.min(count - 1, to))
}
