import { describe, expect, it, vi } from 'vitest'
import type { Loop } from '../api/kind'
import { every } from './every'
import { bindsAll, KINDS, known, limitWords } from './limit'
import { above, below, handValues, shown, valueWords } from './mode'

describe('limits', () => {
  const say: [Record<string, unknown>, string][] = [
    [{ kind: 'range', of: 'speed', low: 0, high: 100 }, 'speed from 0 to 100'],
    [{ kind: 'range', of: 'tank', low: 1.5, high: null }, 'tank at least 1.5'],
    [{ kind: 'rate', of: 'speed', most: 60, per: '1s' }, 'speed moves by 60 at most within 1s'],
    [{ kind: 'dwell', of: 'pump', on: '5min', off: '2min' }, 'pump stays on for 5min and pump stays off for 2min'],
    [{ kind: 'hourly', most: 1, per: '1h', of: null }, '1 change of anything in 1h at most'],
    [{ kind: 'conflict', pairs: [[{ of: 'a', equals: 'on' }, { of: 'b', low: 2 }]] }, 'Never together: a is on and b at least 2'],
    [{ kind: 'sequence', of: 'phase', after: { ns: ['yellow'] }, least: { ns: '5s' } }, 'Order of phase: ns (5s) → yellow'],
    [{ kind: 'fresh', inputs: ['flow'], within: '1min', stuck: '1h' }, 'flow known and no older than 1min and not the same for 1h'],
    [{ kind: 'require', needs: [{ of: 'tank', low: 1 }], doing: [{ of: 'pump', equals: false }] }, 'For pump is false: Only if tank at least 1'],
    [{ kind: 'envelope', kpis: { delay: { low: null, high: 5 } }, within: '15min', least_runs: 3 }, 'A what-if of these values, no older than 15min, over 3 runs at least, keeps delay at most 5'],
    [{ kind: 'authority', models: [] }, 'No model at all'],
    [{ kind: 'approve', k: 2, of: ['ann', 'ben'] }, '2 people of ann, ben say yes before'],
    [{ kind: 'scope', fields: ['speed'], start: '06:00', end: null, zone: 'UTC' }, 'Only speed from 06:00 to 24:00 (UTC)'],
    [{ kind: 'effect', of: 'valve', input: 'flow', least: 0.1, within: '10s' }, 'flow moves by 0.1 within 10s of a change of valve, else it trips'],
    [{ kind: 'starve', of: 'phase', states: ['ns', 'ew'], most: '2min' }, 'None of ns, ew waits longer than 2min'],
    [{ kind: 'odd', x: 1 }, '{"kind":"odd","x":1}'],
  ]
  it.each(say)('%o in words', (limit, words) => expect(limitWords(limit)).toBe(words))
  it('have words for every kind above', () => expect([...new Set(say.map(([one]) => one.kind))].sort()).toEqual([...KINDS, 'odd'].sort()))
  it('bind people where they say so, or their kind does', () => {
    expect([{ kind: 'range' }, { kind: 'hourly' }, { kind: 'hourly', binds: 'all' }].map(bindsAll)).toEqual([true, false, true])
  })
  it('and the plan name what a text field may say', () => {
    const limits = [{ kind: 'sequence', of: 'phase', after: { ns: ['y'], y: ['ns'] } }, { kind: 'starve', of: 'other', states: ['x'] }]
    expect(known('phase', limits, [{ hold: '1s', values: { phase: 'ew' } }])).toEqual(['ns', 'y', 'ew'])
  })
})

describe('modes', () => {
  const loop = { judged: 100, refused: 2, trips: [], promote: { least: 100, refused: 0.02 } } as unknown as Loop
  it('go up on evidence', () => {
    expect(shown(loop)).toBe(true)
    expect([{ ...loop, judged: 99 }, { ...loop, refused: 3 }, { ...loop, trips: [{}] }].map(shown)).toEqual([false, false, false])
    expect([above('shadow'), above('auto'), below('supervised')]).toEqual(['advisory', null, ['shadow', 'advisory']])
  })
})

describe('a hand', () => {
  it('sets what was written, as the field is, and leaves the rest', () => {
    const fields = { speed: 'number', on: 'boolean', phase: 'text', other: 'text' }
    expect(handValues(fields, { speed: ' 10.5 ', on: 'false', phase: 'ns', other: '  ' })).toEqual({ speed: 10.5, on: false, phase: 'ns' })
    expect(valueWords({ speed: 10.5, on: false })).toBe('speed = 10.5, on = false')
  })
})

describe('what is done again and again', () => {
  it('waits for itself and ends', async () => {
    vi.stubGlobal('document', { hidden: false })
    let turns = 0
    let let_go: () => void = () => undefined
    const end = every(1, () => { turns++; return new Promise<void>((done) => (let_go = done)) })
    await new Promise((done) => setTimeout(done, 20))
    expect(turns).toBe(1)
    let_go()
    await vi.waitFor(() => expect(turns).toBe(2))
    end()
    let_go()
    await new Promise((done) => setTimeout(done, 20))
    expect(turns).toBe(2)
    vi.unstubAllGlobals()
  })
})
