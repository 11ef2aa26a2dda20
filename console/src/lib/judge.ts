import type { Errors } from '../api/kind'
import type { Mark } from './mark'
import type { Spot } from './place'

/** So many times the mean error of all is marked on the map. */
const MUCH = 2
const SOME = 1.25

/** Show Things by how wrong a model is about them; of several series of a Thing the worst counts. */
export function spotsByError(now: Spot[], errors: Errors): Spot[] {
  const mean = errors.whole.mae ?? 0
  const worst = new Map<number, number>()
  errors.thing.forEach((thing, i) => worst.set(thing, Math.max(worst.get(thing) ?? 0, errors.mae[i] ?? 0)))
  return now.flatMap((spot) => {
    const mae = worst.get(spot.id)
    if (mae === undefined) return []
    const mark: Mark | null = mean && mae >= MUCH * mean ? 'major' : mean && mae >= SOME * mean ? 'minor' : null
    return [{ ...spot, mark, open: 0 }]
  })
}
