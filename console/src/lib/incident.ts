import { SEVERITIES, type Slim } from '../api/kind'

/** Put an alert into a list of open ones, in place of what was known of it; out, if it has ended. */
export function take(open: Slim[], alert: Slim): Slim[] {
  const rest = open.filter((one) => one.id !== alert.id)
  return alert.active ? [alert, ...rest] : rest
}

/** Order open alerts: the worst first, of these the newest. */
export function rank(open: Slim[]): Slim[] {
  const worst = (one: Slim): number => SEVERITIES.indexOf(one.severity)
  return [...open].sort((a, b) => worst(a) - worst(b) || b.raised - a.raised)
}
