import { expect, it } from 'vitest'
import { layDots, nearest } from './dot'
import { MARKS } from './mark'
import type { Spot } from './place'

const spot = (id: number, lon: number | null, mark: Spot['mark']): Spot => ({ id, name: '', lon, lat: lon, mark, open: 0 })
const plane = (lon: number, lat: number): [number, number] => [lon / 360 + 0.5, lat / 360 + 0.5]

it('Things are laid out without a mark first and the worst last, those without a place not at all', () => {
  const laid = layDots([spot(1, 10, 'critical'), spot(2, 11, null), spot(3, null, 'major'), spot(4, 12, 'minor')], plane)
  expect(laid.ids).toEqual([2, 4, 1])
  expect([2, 5, 8].map((at) => laid.dots[at])).toEqual([0, MARKS.indexOf('minor') + 1, 1])
  expect(laid.origin).toEqual(plane(11, 11))
  expect(laid.dots[3]).toBeCloseTo(1 / 360, 9)
})

it('single precision is enough for a city at the closest zoom', () => {
  const lon = 11.3456789
  const laid = layDots([spot(1, 11.2, null), spot(2, lon, null)], plane)
  const error = Math.abs((laid.dots[3] ?? 0) + laid.origin[0] - plane(lon, lon)[0])
  expect(error * 512 * 2 ** 22).toBeLessThan(0.5) // pixels
})

it('what is nearest is picked, on top where several are as near, nothing where none is', () => {
  const laid = layDots([spot(1, 10, 'critical'), spot(2, 10, null), spot(3, 20, null)], plane)
  const [x, y] = plane(10.1, 10)
  expect(nearest(laid, x, y, 1 / 360)).toBe(1)
  expect(nearest(laid, x, y, 0.01 / 360)).toBeNull()
  expect(nearest(layDots([], plane), x, y, 1)).toBeNull()
})
