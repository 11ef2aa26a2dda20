/** Instants are whole milliseconds since 1970 UTC; what the node writes in ISO 8601 is read here. */
export function instant(value: string | number | null | undefined): number | null {
  if (value === null || value === undefined || value === '') return null
  const found = typeof value === 'number' ? value : Date.parse(value)
  return Number.isFinite(found) ? found : null
}

/** Write an instant in the person's own time zone. */
export function local(ms: number, language: string, seconds = false): string {
  return new Intl.DateTimeFormat(language, {
    dateStyle: 'medium',
    timeStyle: seconds ? 'medium' : 'short',
  }).format(ms)
}

/** Write an instant in UTC: `2026-11-22 20:31:05 UTC`. */
export function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]

/** Say how far an instant is from another: `3 hours ago`. */
export function ago(ms: number, now: number, language: string): string {
  const distance = ms - now
  for (const [unit, size] of STEPS) {
    if (Math.abs(distance) >= size || unit === 'second') {
      return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(Math.round(distance / size), unit)
    }
  }
  return ''
}

/** Say how long something takes: `1 d 4 h`, `12 min`, `3.5 s`. */
export function lasting(ms: number): string {
  const s = ms / 1000
  if (s < 1) return `${Math.round(ms)} ms`
  if (s < 60) return `${Number(s.toFixed(1))} s`
  if (s < 3600) return `${Math.round(s / 60)} min`
  if (s < 86_400) return parts(s, 3600, 'h', 60, 'min')
  return parts(s, 86_400, 'd', 3600, 'h')
}

function parts(s: number, large: number, name: string, small: number, unit: string): string {
  const whole = Math.floor(s / large)
  const rest = Math.round((s - whole * large) / small)
  return rest ? `${whole} ${name} ${rest} ${unit}` : `${whole} ${name}`
}
