import { describe, expect, it } from 'vitest'
import type { Errors, History, Streams } from '../api/kind'
import { foretoldAt } from './ahead'
import { spotsByError } from './judge'
import type { Spot } from './place'
import { setup } from './setup'

describe('a device', () => {
  const streams = {
    id: [5, 6, 7, 8], thing: [1, 1, 2, 1], signal: ['level', '', 'level', 'level'], name: ['a', 'b', 'c', 'd'],
    kind: ['reading', 'reading', 'reading', 'forecast'],
  } as unknown as Streams
  const told = (datastreams: number[]) =>
    JSON.parse(setup('https://n', { name: 'g', thing: 1, datastreams }, 'secret', streams)) as { topics: Record<string, string> }
  it('is set up by a code that names its topics, and no others', () => {
    expect(told([])).toEqual({
      node: 'https://n', device: 'g', token: 'secret',
      topics: { level: 'v1.1/Datastreams(5)/Observations', b: 'v1.1/Datastreams(6)/Observations' },
    })
    expect(Object.keys(told([6]).topics)).toEqual(['b'])
  })
})

describe('a model', () => {
  const things = [1, 2, 3].map((id): Spot => ({ id, name: `${id}`, lon: 0, lat: 0, mark: null, open: 4 }))
  it('is marked where it errs more than elsewhere', () => {
    const errors = { thing: [1, 2, 2], mae: [1.9, 0.5, 6], whole: { mae: 1.5 } } as unknown as Errors
    expect(spotsByError(things, errors).map((one) => [one.id, one.mark, one.open])).toEqual([[1, 'minor', 0], [2, 'major', 0]])
  })
  it('foretells as far as there is a forecast', () => {
    const one = { kind: 'forecast', thing: 1, unit: 'L/s', time: [1000, 1000, 1000], value: [4, 5, 6] }
    const ahead = { series: [{ ...one, kind: 'reading' }, one, { ...one, value: [7, 8, 9] }] } as unknown as History
    expect(foretoldAt(ahead, 2500).get(1)).toEqual({ value: 5, unit: 'L/s' })
    expect(foretoldAt(ahead, 9000).size).toBe(0)
  })
})
