import { describe, expect, it } from 'vitest'
import type { Change } from '../api/kind'
import { bars, meaning, share } from './change'
import { course, extent, fitted, named, pieces, queueLength, tail, total, track, valueAtStep, type Film, type Point, type Side } from './film'

const side: Side = {
  kpis: {},
  tracks: [{ signal: 'queue', unit: '{#}', names: ['a', 'b'], value: [[0, 2, null], [1, 3, 4]] }],
}

describe('a film', () => {
  it('says what stands where at a step, and in all', () => {
    const queue = track(side, 'queue')
    expect([valueAtStep(queue, 'b', 1), valueAtStep(queue, 'a', 2), valueAtStep(queue, 'c', 0), valueAtStep(track(side, 'light'), 'a', 0)]).toEqual([3, null, null, null])
    expect(total(queue, 3)).toEqual([1, 5, 4])
  })
  it('draws a queue from the stop line backwards, around bends and no further than the lane', () => {
    const lane: Point[] = [[0, 0], [30, 0], [30, 40]]
    expect(tail(lane, 10)).toEqual([[30, 40], [30, 30]])
    expect(tail(lane, 50)).toEqual([[30, 40], [30, 0], [20, 0]])
    expect(tail(lane, 500)).toEqual([[30, 40], [30, 0], [0, 0]])
    expect(queueLength(4)).toBe(30)
  })
  it('has a course of each quantity, with its gaps, and lights are none to choose', () => {
    const film = { do: { kpis: {}, tracks: [...side.tracks, { signal: 'light', unit: '1', names: ['a'], value: [[1]] }] } } as unknown as Film
    expect(named(film)).toEqual([{ signal: 'queue', name: 'a' }, { signal: 'queue', name: 'b' }])
    expect(course(side, 'queue', 'a')).toEqual([0, 2, null])
    expect(course(side, 'queue', 'z')).toEqual([])
    expect([extent([0, 2, null], [5]), extent([], [null])]).toEqual([[0, 5], [0, 1]])
    expect(pieces([0, 4, null, 2], [0, 4], 40)).toEqual(['0,39.00 1,1.00', '3,20.00'])
  })
  it('fits into its box, north up, as wide as high', () => {
    const place = fitted([{ points: [[0, 0], [100, 50]] }], 220, 220, 10)
    expect([place([0, 0]), place([100, 50])]).toEqual([[10, 160], [210, 60]])
    expect(fitted([{ points: [[5, 5]] }], 20, 20, 5)([5, 5]).every(Number.isFinite)).toBe(true)
  })
})

describe('differences', () => {
  const one = (base: number, low: number, mean: number, high: number): Change => ({ kpi: 'k', unit: '', base, do: base + mean, low, mean, high, p: 0.1 })
  it('are more, less, or may be chance', () => {
    expect([one(10, 1, 2, 3), one(10, -3, -2, -1), one(10, -1, 1, 3), one(10, 0, 0, 0)].map(meaning)).toEqual(['more', 'less', 'open', 'same'])
    expect([share(one(10, 1, 2, 3)), share(one(0, 1, 2, 3))]).toEqual([0.2, null])
  })
  it('stand beside each other as shares of what is with nothing done, cut where they are far out', () => {
    const { bars: laid, most } = bars([one(10, -5, -2, 1), one(1, 1, 30, 60), one(0, 0, 0, 0)])
    expect(most).toBe(2)
    expect(laid.map(({ low, mean, high }) => [low, mean, high])).toEqual([[-0.25, -0.1, 0.05], [0.5, 1, 1], [0, 0, 0]])
    expect(bars([]).most).toBe(1)
  })
  it('of a figure that is 0 with nothing done have no share, and leave the others their scale', () => {
    const { bars: laid, most } = bars([one(10, -5, -2, 1), one(0, 900, 1000, 1100), one(0, 0, 0, 0)])
    expect(most).toBe(0.5)
    expect(laid.map((bar) => bar.shared)).toEqual([true, false, true])
  })
})
