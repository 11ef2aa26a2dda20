import { SEVERITIES, type Severity } from '../api/kind'

/** What is abnormal has a colour, a shape and a word; here are the shapes, drawn in 16 × 16. */
export type Mark = Severity | 'silent' | 'predicted'

export const MARKS: Mark[] = [...SEVERITIES, 'silent', 'predicted']

export const PATHS: Record<Mark, string> = {
  critical: 'M8 1.5 15 14.5H1Z',
  major: 'M8 1 15 8 8 15 1 8Z',
  minor: 'M2.5 2.5h11v11h-11Z',
  warning: 'M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2Z',
  info: 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11Z',
  silent: 'M3 3 13 13M13 3 3 13',
  predicted: 'M8 1.5l6 3.5v6l-6 3.5-6-3.5v-6Z',
}

/** Return the mark of a thing by its state and its worst open alert, null where all is well. */
export function markOf(state: string | undefined, severity: Severity | undefined): Mark | null {
  if (severity) return severity
  return state === 'silent' || state === 'quarantined' ? 'silent' : null
}
