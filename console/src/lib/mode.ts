import type { Loop, Mode } from '../api/kind'

/** From what does least to what does most. */
export const MODES: Mode[] = ['shadow', 'advisory', 'supervised', 'auto']

/** The mode above; null at the top. */
export function above(mode: Mode): Mode | null {
  return MODES[MODES.indexOf(mode) + 1] ?? null
}

/** The modes below. */
export function below(mode: Mode): Mode[] {
  return MODES.slice(0, MODES.indexOf(mode))
}

/** Whether a loop has shown enough for the mode above. */
export function shown(loop: Loop): boolean {
  const { judged, refused, promote } = loop
  return !loop.trips.length && judged >= promote.least && judged > 0 && refused / judged <= promote.refused
}

/** What a person wrote for each field, as the API takes it; what was left empty is left out. */
export function handValues(fields: Record<string, string>, given: Record<string, string | number | null>): Record<string, number | boolean | string> {
  const found: Record<string, number | boolean | string> = {}
  for (const [name, form] of Object.entries(fields)) {
    const text = (given[name] ?? '').toString().trim()
    if (text === '') continue
    if (form === 'number') found[name] = Number(text)
    else if (form === 'boolean') found[name] = text === 'true'
    else found[name] = text
  }
  return found
}

/** Values in words: `speed = 10, pump = on`. */
export function valueWords(values: Record<string, unknown>): string {
  return Object.entries(values).map(([name, value]) => `${name} = ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`).join(', ')
}
