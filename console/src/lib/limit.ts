import { t } from './say.svelte'

/** An interlock, as a capability declares it: its kind, and what that kind has. */
export type Limit = Record<string, unknown>

/** A field, or what is written of it. */
function said(value: unknown): string {
  if (Array.isArray(value)) return value.map(said).join(', ')
  return value === null || value === undefined ? '' : String(value)
}

function list(value: unknown): Limit[] {
  return Array.isArray(value) ? value.filter((one): one is Limit => typeof one === 'object' && one !== null) : []
}

function entries(value: unknown): [string, unknown][] {
  return value && typeof value === 'object' ? Object.entries(value) : []
}

/** From low to high, each of which may be open. */
function span(of: string, low: unknown, high: unknown): string {
  if (low === null || low === undefined) return t('limit.most', { of, high: said(high) })
  if (high === null || high === undefined) return t('limit.least', { of, low: said(low) })
  return t('limit.range', { of, low: said(low), high: said(high) })
}

/** A condition: a field that equals something, or lies from low to high. */
function condition(one: Limit): string {
  const of = said(one.of)
  if (one.equals !== null && one.equals !== undefined) return t('limit.equals', { of, value: said(one.equals) })
  return span(of, one.low, one.high)
}

function conditions(value: unknown): string {
  return list(value).map(condition).join(t('limit.and'))
}

function dwell(one: Limit): string {
  const parts = []
  if (one.on) parts.push(t('limit.dwell.on', { of: said(one.of), on: said(one.on) }))
  if (one.off) parts.push(t('limit.dwell.off', { of: said(one.of), off: said(one.off) }))
  return parts.join(t('limit.and'))
}

/** What follows what, with how long it has to hold before: `ns (5s) → yellow`. */
function order(one: Limit): string {
  const least = Object.fromEntries(entries(one.least))
  const steps = entries(one.after).map(([from, to]) => `${from}${least[from] ? ` (${said(least[from])})` : ''} → ${said(to)}`)
  return t('limit.sequence', { of: said(one.of), steps: steps.join('; ') })
}

function inScope(one: Limit): string {
  const what = t('limit.scope', { fields: said(one.fields) })
  return one.start || one.end ? `${what} ${t('limit.hours', { start: said(one.start) || '00:00', end: said(one.end) || '24:00', zone: said(one.zone) || 'UTC' })}` : what
}

const WORDS: Record<string, (one: Limit) => string> = {
  range: (one) => span(said(one.of), one.low, one.high),
  rate: (one) => t('limit.rate', { of: said(one.of), most: said(one.most), per: said(one.per ?? '1min') }),
  dwell,
  hourly: (one) => t('limit.hourly', { n: Number(one.most), of: said(one.of) || t('limit.anything'), per: said(one.per ?? '1h') }),
  conflict: (one) => t('limit.conflict', { pairs: (Array.isArray(one.pairs) ? one.pairs : []).map(conditions).join('; ') }),
  sequence: order,
  fresh: (one) => {
    const age = t('limit.fresh', { inputs: said(one.inputs), within: said(one.within) })
    return one.stuck ? `${age}${t('limit.and')}${t('limit.stuck', { stuck: said(one.stuck) })}` : age
  },
  require: (one) => {
    const needs = t('limit.require', { needs: conditions(one.needs) })
    return list(one.doing).length ? `${t('limit.doing', { doing: conditions(one.doing) })} ${needs}` : needs
  },
  envelope: (one) => t('limit.envelope', {
    kpis: entries(one.kpis).map(([name, bounds]) => span(name, (bounds as Limit).low, (bounds as Limit).high)).join(t('limit.and')),
    within: said(one.within ?? '15min'), n: Number(one.least_runs ?? 1),
  }),
  authority: (one) => (said(one.models) ? t('limit.authority', { models: said(one.models) }) : t('limit.authority.none')),
  approve: (one) => {
    const yes = said(one.of) ? t('limit.approve.of', { n: Number(one.k ?? 1), of: said(one.of) }) : t('limit.approve', { n: Number(one.k ?? 1) })
    return list(one.doing).length ? `${t('limit.doing', { doing: conditions(one.doing) })} ${yes}` : yes
  },
  scope: inScope,
  effect: (one) => t('limit.effect', { input: said(one.input), least: said(one.least), within: said(one.within), of: said(one.of) }),
  starve: (one) => t('limit.starve', { states: said(one.states), most: said(one.most) }),
}

/** Say an interlock in words; one of a kind that this console does not know is shown as it is declared. */
export function limitWords(one: Limit): string {
  return WORDS[said(one.kind)]?.(one) ?? JSON.stringify(one)
}

/** The kinds that have words. */
export const KINDS = Object.keys(WORDS)

/** Kinds that hold for models only unless they say otherwise (docs/act.md). */
const MODELS = ['hourly', 'fresh', 'envelope', 'scope', 'effect', 'starve']

/** Whether a person's hand keeps to it, too. */
export function bindsAll(one: Limit): boolean {
  return (one.binds ?? (MODELS.includes(said(one.kind)) ? 'models' : 'all')) === 'all'
}

/** The values that a text field is known to take: those that limits and the local plan name. */
export function known(field: string, limits: Limit[], plan: Limit[]): string[] {
  const found = new Set<string>()
  for (const one of limits) {
    if (one.of !== field) continue
    entries(one.after).forEach(([from]) => found.add(from))
    if (Array.isArray(one.states)) one.states.forEach((state) => found.add(said(state)))
  }
  for (const step of plan) {
    const value = Object.fromEntries(entries(step.values))[field]
    if (value !== undefined) found.add(said(value))
  }
  return [...found]
}
