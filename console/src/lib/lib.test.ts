import { describe, expect, it } from 'vitest'
import type { Alert, Detail, History, Overview, Slim, Streams, Things } from '../api/kind'
import de from '../message/de.json'
import en from '../message/en.json'
import { address, placeOf } from './address'
import { leavingAt, sourcesOf } from './ahead'
import { belongs, filtersOf, merged, slim } from './alerts'
import { query } from './call'
import { drawingOf, limitsOf } from './evidence'
import { cells, paint, ramp, valueOf, type Heat } from './heat'
import { rank, take } from './incident'
import { patience } from './live.svelte'
import { amount, percent } from './number'
import { abnormal, bounds, spots, spotsAhead, spotsAt } from './place'
import { problemOf } from './problem'
import { python } from './python'
import { rowsInSight, step } from './roll'
import { fill } from './say.svelte'
import { broken, grown, joined, times, valueAt } from './series'
import { ago, instant, lasting, utc } from './time'

const one: Slim = {
  id: 'a', severity: 'major', solution: 'water', rule: 'water.burst', thing: 1, datastream: 2, text: 'Burst',
  raised: 1000, end: null, active: true, acknowledged: false, shelved_until: null, sure: 0.9, assignee: null, verdict: null,
}

describe('messages', () => {
  it('say the same things in every language, with the same values in them', () => {
    expect(Object.keys(de)).toEqual(Object.keys(en))
    const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)/g)].map((found) => found[1] ?? '').sort()
    for (const [key, text] of Object.entries(en)) expect([key, holes(de[key as keyof typeof de])]).toEqual([key, holes(text)])
  })
  it('stand in order, so that two people seldom touch one line', () => {
    expect(Object.keys(en)).toEqual(Object.keys(en).sort())
  })
  it('choose by number and put values in as they are', () => {
    expect(fill('{n|# alert|# alerts} in {name}', { n: 1, name: '$& <b>' }, 'en')).toBe('1 alert in $& <b>')
    expect(fill('{n|# Alarm|# Alarme}', { n: 1200 }, 'de')).toBe('1.200 Alarme')
    expect(fill('{missing}', {}, 'en')).toBe('{missing}')
  })
})

describe('addresses', () => {
  it('name a screen, one of its own, and what is asked of it', () => {
    const place = placeOf('/console/alerts/a%2Fb', '?state=open')
    expect([place.screen, place.name, place.query.get('state')]).toEqual(['alerts', 'a/b', 'open'])
    expect(placeOf('/console', '').screen).toBe('overview')
    expect(placeOf('/console/alerts/%E0%A4%A', '').name).toBe('%E0%A4%A')
  })
  it('are read as they were written', () => {
    const text = address('alerts', 'a/b c', { state: 'open', rule: '' })
    expect(text).toBe('/console/alerts/a%2Fb%20c?state=open')
    expect(placeOf(...(text.split('?') as [string, string])).name).toBe('a/b c')
  })
  it('leave out what is not asked', () => expect(query({ a: null, b: '', c: 0, d: 'x y' })).toBe('?c=0&d=x+y'))
})

describe('alerts', () => {
  it('keep the worst first, of these the newest, and let go of what ended', () => {
    const worse: Slim = { ...one, id: 'b', severity: 'critical', raised: 1 }
    const newer: Slim = { ...one, id: 'c', raised: 2000 }
    expect(rank([one, newer, worse]).map((each) => each.id)).toEqual(['b', 'c', 'a'])
    expect(take([one, worse], { ...one, active: false }).map((each) => each.id)).toEqual(['b'])
    expect(take([worse], one).map((each) => each.id)).toEqual(['a', 'b'])
  })
  it('enter a list where their filters let them, once', () => {
    expect(merged([], one, { state: 'open' }, 0)).toEqual([one])
    const known = { ...one, acknowledged: true }
    expect(merged([one], known, {}, 0)).toEqual([known])
    expect(merged([one], known, { state: 'unacknowledged' }, 0)).toEqual([])
    expect(merged([{ ...one, id: 'z', raised: 500 }], one, {}, 0).map((each) => each.id)).toEqual(['a', 'z'])
    expect(merged([{ ...one, id: 'z', raised: 5000 }], one, {}, 0).map((each) => each.id)).toEqual(['z', 'a'])
  })
  it.each([
    [{ severity: 'critical,major' }, true],
    [{ severity: 'minor' }, false],
    [{ thing: '1' }, true],
    [{ thing: '2' }, false],
    [{ rule: 'water.stuck' }, false],
    [{ assignee: 'ann' }, false],
    [{ state: 'shelved' }, false],
    [{ state: 'cleared' }, false],
  ])('heed the filter %j', (filters, expected) => expect(belongs(one, filters, 0)).toBe(expected))
  it('take filters out of the address and nothing else', () => {
    expect(filtersOf(new URLSearchParams('state=open&view=table&rule='))).toEqual({ state: 'open' })
  })
  it('are read as the older endpoints write them', () => {
    const old: Alert = {
      ...one, start: '1970-01-01T00:00:00Z', raised: '1970-01-01T00:00:01Z', end: null, shelved_until: null,
      evidence: [], model: '', properties: { assigned: { to: 'ann', by: 'bob' }, verdict: { verdict: 'planned' } },
    }
    expect(slim(old)).toEqual({ ...one, assignee: 'ann', verdict: 'planned' })
  })
})

const things: Things = { id: [1, 2], name: ['pier', 'mole'], lon: [8, null], lat: [47, null], project: [1, 1], solution: ['water', ''], streams: [1, 1] }
const overview = {
  states: ['normal', 'alert', 'silent', 'quarantined', 'unknown'],
  severities: ['critical', 'major', 'minor', 'warning', 'info'],
  things: { id: [1, 2], lon: [8, null], lat: [47, null], state: [1, 2] },
  abnormal: { thing: [1, 2], state: [1, 2], open: [2, 0], severity: [1, -1], since: [0, 0] },
} as unknown as Overview

describe('places', () => {
  const now = spots(things, overview)
  it('have a mark only where something is wrong', () => {
    expect(now.map((spot) => [spot.name, spot.mark, spot.open])).toEqual([['pier', 'major', 2], ['mole', 'silent', 0]])
    expect(abnormal(now).map((spot) => spot.id)).toEqual([1, 2])
  })
  it('stand as alerts stood then', () => {
    const past = [{ ...one, end: 2000 }, { ...one, id: 'b', severity: 'critical' as const, raised: 1500 }]
    expect(spotsAt(now, past, 1200)[0]?.mark).toBe('major')
    expect(spotsAt(now, past, 1600)[0]).toMatchObject({ mark: 'critical', open: 2 })
    expect(spotsAt(now, past, 500)[0]?.mark).toBe(null)
  })
  it('are foretold to leave their range with a mark of its own', () => {
    const streams = { id: [5, 6], source: [null, 5], low: [0, 0], high: [10, 10] } as unknown as Streams
    const ahead = { series: [{ kind: 'forecast', stream: 6, thing: 1, time: [100, 100], value: [5, 12] }] } as unknown as History
    expect(sourcesOf(streams)).toBe('5')
    expect([...leavingAt(ahead, streams, 150)]).toEqual([])
    expect(spotsAhead(now, leavingAt(ahead, streams, 200)).map((spot) => spot.mark)).toEqual(['predicted', null])
    expect([...leavingAt(ahead, streams, 201)]).toEqual([])
  })
  it('have bounds, those that have a place', () => {
    expect(bounds(now)).toEqual([8, 47, 8, 47])
    expect(bounds([])).toBe(null)
  })
})

describe('series', () => {
  it('come as differences', () => expect(times([1000, 10, 20])).toEqual([1000, 1010, 1030]))
  it('hold until the next value, and not past the last', () => {
    expect([5, 10, 15, 20, 21].map((at) => valueAt([10, 20], [1, 2], at))).toEqual([null, 1, 1, 2, null])
  })
  it('break where nothing was measured', () => {
    expect(broken({ time: [0, 10, 90], value: [1, 2, 3] }, [[10, 90]])).toEqual({ time: [0, 10, 11, 90], value: [1, 2, null, 3] })
  })
  it('share one axis', () => {
    expect(joined([{ time: [1, 3], value: [10, 30] }, { time: [2], value: [null] }])).toEqual([[1, 2, 3], [10, undefined, 30], [undefined, null, undefined]])
  })
  it('grow at their end only', () => {
    expect(grown({ time: [1, 2], value: [1, 2] }, [2, 4, 3], [9, 4, 3], 2)).toEqual({ time: [2, 3, 4], value: [2, 3, 4] })
  })
})

describe('the picture of an alert', () => {
  const detail = {
    alert: { ...one, start: '1970-01-01T00:00:01Z', end: null, evidence: [{ datastream: 2, time: '1970-01-01T00:00:01Z', value: 9, expected: 4, low: 3, high: 5, score: 1 }] },
    stream: { name: 'inflow', unit: 'L/s' },
    rule: { when: 'value > 5000 for 30min', say: '', severity: 'major' },
  } as unknown as Detail
  const measured = { kind: 'reading', stream: 2, name: 'inflow', unit: 'L/s', time: [0, 1000], value: [1, 9], gaps: [] }
  it('shows what was measured, what was expected, the limit, and since when', () => {
    const drawing = drawingOf({ from: 0, to: 5000, px: 9, series: [measured] } as unknown as History, detail, { time: [2000], value: [8] }, 'predicted')
    expect(drawing.measured[0]?.value).toEqual([1, 9, 8])
    expect(drawing.predicted).toMatchObject({ value: [4], low: [3], high: [5] })
    expect(drawing.limits).toEqual([{ value: 5000, name: 'value > 5000 for 30min' }])
    expect(drawing.marks).toEqual([{ from: 1000, to: 5000, name: 'water.burst' }])
  })
  it('takes a forecast, where there is one, before single expectations', () => {
    const forecast = { ...measured, kind: 'forecast', value: [2, 3], low: [1, 2], high: [3, 4] }
    const drawing = drawingOf({ from: 0, to: 5000, px: 9, series: [measured, forecast] } as unknown as History, detail, { time: [], value: [] }, 'predicted')
    expect(drawing.predicted).toMatchObject({ value: [2, 3], low: [1, 2] })
  })
  it('draws no limit for what is no comparison of readings', () => {
    expect(limitsOf({ rule: { when: 'score > limit for 2h' } } as Detail)).toEqual([])
  })
})

describe('words for numbers and times', () => {
  it.each([
    [1234.5, 'L/s', '1,235 L/s'],
    [0.00001, '', '1E-5'],
    [12.3456, 'm', '12.35 m'],
    [null, 'm', '–'],
    [Number.NaN, '', '–'],
    [3, '1', '3'],
  ])('%s %s', (value, unit, text) => expect(amount(value, unit)).toBe(text))
  it('shares', () => expect([percent(0.1234), percent(null)]).toEqual(['12.3%', '–']))
  it.each([[350, '350 ms'], [3500, '3.5 s'], [720_000, '12 min'], [5_400_000, '1 h 30 min'], [100_800_000, '1 d 4 h'], [7_200_000, '2 h']])('%s ms', (ms, text) => expect(lasting(ms)).toBe(text))
  it('instants', () => {
    expect(instant('1970-01-01T00:00:01Z')).toBe(1000)
    expect([instant(null), instant('never'), instant(5)]).toEqual([null, null, 5])
    expect(utc(0)).toBe('1970-01-01 00:00:00 UTC')
    expect(ago(0, 7_200_000, 'en')).toBe('2 hours ago')
  })
})

describe('long tables', () => {
  it('draw what is in sight and a little around', () => {
    expect(rowsInSight(0, 400, 40, 10_000)).toEqual([0, 18])
    expect(rowsInSight(40_000, 400, 40, 10_000)).toEqual([992, 1018])
    expect(rowsInSight(0, 400, 40, 3)).toEqual([0, 3])
  })
  it('move by keys and stay inside', () => {
    expect([step('ArrowDown', 2, 3), step('ArrowUp', 0, 3), step('End', 0, 3), step('x', 0, 3), step('Home', 0, 0)]).toEqual([2, 0, 2, null, null])
  })
})

describe('what goes wrong', () => {
  it('is said as the node says it', () => {
    expect(problemOf(403, '{"message":"no","hint":"ask"}', null)).toMatchObject({ status: 403, message: 'no', hint: 'ask' })
    expect(problemOf(502, '<html>', '7')).toMatchObject({ message: '<html>', retry_s: 7 })
  })
  it('is tried again, more and more slowly', () => expect([1, 2, 3, 9].map(patience)).toEqual([1000, 2000, 4000, 30_000]))
})

describe('the heat-map', () => {
  const heat: Heat = { from: 0, to: 1, px: 2, stream: [1, 2], encoding: 'u8', scale: 'row', low: [0, 10], high: [254, 20], data: btoa(String.fromCharCode(7, 255, 0, 254)) }
  it('reads cells as they are written', () => {
    const codes = cells(heat.data)
    expect([[0, 0], [0, 1], [1, 0], [1, 1]].map(([row, column]) => valueOf(heat, codes, row ?? 0, column ?? 0))).toEqual([7, null, 10, 20])
  })
  it('paints each code in its colour', () => {
    const picture = new Uint8ClampedArray(3 * 4)
    paint(new Uint8Array([0, 254, 255]), ramp('rgb(0, 0, 0)', 'rgb(254, 100, 10)', 'rgb(1, 2, 3)'), picture)
    expect([...picture]).toEqual([0, 0, 0, 255, 254, 100, 10, 255, 1, 2, 3, 255])
  })
  it('paints 10,000 series of 480 cells in a moment', () => {
    const codes = new Uint8Array(10_000 * 480).map((_, i) => i % 256)
    const picture = new Uint8ClampedArray(codes.length * 4)
    const begun = performance.now()
    paint(codes, ramp('rgb(0,0,0)', 'rgb(9,9,9)', 'rgb(1,2,3)'), picture)
    expect(performance.now() - begun).toBeLessThan(300)
  })
})

describe('a program copied', () => {
  it('keeps names in comments, whatever they hold', () => {
    const text = python('http://here', [{ id: 3, name: 'a\nimport os' }], '-24h', 'now')
    expect(text).toContain('    3,  # a import os\n')
    expect(text).toContain('"from": "-24h"')
  })
})
