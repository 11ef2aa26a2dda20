import type { Alert, Slim, Verdict } from '../api/kind'
import { getPage, query } from './call'
import { instant } from './time'

/** How the older endpoints' alerts are shown: as the slim ones that are told live. */
export function slim(one: Alert): Slim {
  const said = one.properties
  return {
    id: one.id,
    severity: one.severity,
    solution: one.solution,
    rule: one.rule,
    thing: one.thing,
    datastream: one.datastream,
    text: one.text,
    raised: instant(one.raised) ?? 0,
    end: instant(one.end),
    active: one.active,
    acknowledged: one.acknowledged,
    shelved_until: instant(one.shelved_until),
    sure: one.sure,
    assignee: within(said.assigned, 'to'),
    verdict: verdict(within(said.verdict, 'verdict')),
  }
}

function within(holder: unknown, name: string): string | null {
  const found: unknown = holder && typeof holder === 'object' ? Reflect.get(holder, name) : null
  return typeof found === 'string' ? found : null
}

function verdict(said: unknown): Verdict | null {
  return said === 'true' || said === 'false' || said === 'planned' ? said : null
}

/** What is kept of a list of alerts in the address. */
export const FILTERS = ['state', 'severity', 'solution', 'rule', 'thing', 'assignee', 'from', 'to'] as const
export type Filters = Partial<Record<(typeof FILTERS)[number], string>>

export function filtersOf(query: URLSearchParams): Filters {
  const found: Filters = {}
  for (const name of FILTERS) {
    const value = query.get(name)
    if (value) found[name] = value
  }
  return found
}

/** Fetch a page of alerts, the newest first. */
export async function alerts(filters: Filters, after: string | null, limit = 200): Promise<{ rows: Slim[]; next: string | null }> {
  const page = await getPage<Alert[]>(`/api/alerts${query({ ...filters, limit, after })}`)
  return { rows: page.value.map(slim), next: page.next }
}

/** As many alerts as the node hands out at once. */
const MOST_PAST = 10_000

/** Fetch what was raised in the last hours, and what was still open then. */
export async function pastAlerts(hours: number): Promise<Slim[]> {
  const [raised, open] = await Promise.all([
    alerts({ from: `-${hours}h` }, null, MOST_PAST),
    alerts({ state: 'open' }, null, MOST_PAST),
  ])
  return [...new Map([...raised.rows, ...open.rows].map((one) => [one.id, one])).values()]
}

/** Whether a live alert belongs into a list with these filters; what cannot be told here is asked anew. */
export function belongs(one: Slim, filters: Filters, now: number): boolean {
  if (filters.severity && !filters.severity.split(',').includes(one.severity)) return false
  if (filters.solution && filters.solution !== one.solution) return false
  if (filters.rule && filters.rule !== one.rule) return false
  if (filters.thing && filters.thing !== `${one.thing}`) return false
  if (filters.assignee && filters.assignee !== one.assignee) return false
  const shelved = one.shelved_until !== null && one.shelved_until > now
  switch (filters.state) {
    case 'open':
      return one.active
    case 'cleared':
      return !one.active
    case 'unacknowledged':
      return !one.acknowledged
    case 'shelved':
      return shelved
    default:
      return true
  }
}

/** Put a live alert into a list, newest first: in place of itself, on top if new, out if it left the filters. */
export function merged(rows: Slim[], one: Slim, filters: Filters, now: number): Slim[] {
  const at = rows.findIndex((row) => row.id === one.id)
  if (!belongs(one, filters, now)) return at < 0 ? rows : rows.filter((row) => row.id !== one.id)
  if (at >= 0) return rows.map((row) => (row.id === one.id ? one : row))
  const below = rows.findIndex((row) => row.raised <= one.raised)
  return below < 0 ? [...rows, one] : [...rows.slice(0, below), one, ...rows.slice(below)]
}
