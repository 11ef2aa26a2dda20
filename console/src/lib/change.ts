import type { Change } from '../api/kind'

/** A bar of a difference: its middle and its ends as shares from -1 to 1 of the widest, and what it means. */
export interface Bar {
  mean: number
  low: number
  high: number
  /** Whether there is a share to draw: of a figure that is 0 with nothing done there is none. */
  shared: boolean
  /** More, less, the same in every pair of runs, or no difference that chance alone would not make. */
  means: 'more' | 'less' | 'same' | 'open'
}

/** By how many parts of what it is with nothing done a figure changes; nothing of figures that are 0 then. */
function relative(one: Change): [number, number, number] {
  if (!one.base) return [0, 0, 0]
  const by = Math.abs(one.base)
  return [(one.low ?? 0) / by, (one.mean ?? 0) / by, (one.high ?? 0) / by]
}

/** The difference as a share of what it is with nothing done, null where that is 0. */
export function share(one: Change): number | null {
  return one.base && one.mean !== null ? one.mean / Math.abs(one.base) : null
}

export function meaning(one: Change): Bar['means'] {
  if (one.low === 0 && one.high === 0) return 'same'
  if ((one.low ?? 0) > 0) return 'more'
  return (one.high ?? 0) < 0 ? 'less' : 'open'
}

/** Lay differences side by side, each by what the figure is with nothing done; what is far out is cut at the edge. */
export function bars(changes: Change[]): { bars: Bar[]; most: number } {
  const sizes = changes.map(relative)
  const widest = Math.max(...sizes.map(([low, , high]) => Math.max(Math.abs(low), Math.abs(high))), 0)
  const most = Math.min(2, widest) || 1
  const cut = (value: number): number => Math.max(-1, Math.min(1, value / most))
  return {
    most,
    bars: changes.map((one, at) => {
      const [low, mean, high] = (sizes[at] ?? [0, 0, 0]).map(cut) as [number, number, number]
      return { low, mean, high, shared: Boolean(one.base) || meaning(one) === 'same', means: meaning(one) }
    }),
  }
}
