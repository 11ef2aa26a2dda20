import type { Detail, History } from '../api/kind'
import type { Drawing } from './plot'
import { broken, grown, times, type Line } from './series'
import { instant } from './time'

/** Make the picture of an alert: what was measured and foretold, the limit that was passed, since when. */
export function drawingOf(history: History, detail: Detail, fresh: Line, predictedName: string): Drawing {
  const { alert } = detail
  const measured = history.series.find((one) => one.kind !== 'forecast')
  const forecast = history.series.find((one) => one.kind === 'forecast')
  const name = measured?.name ?? detail.stream?.name ?? `${alert.datastream}`
  let line: Line = { time: times(measured?.time ?? []), value: measured?.value ?? [] }
  line = grown(broken(line, measured?.gaps ?? []), fresh.time, fresh.value, -Infinity)
  const drawing: Drawing = {
    title: name,
    unit: measured?.unit ?? detail.stream?.unit ?? '',
    measured: [{ name, ...line }],
    limits: limitsOf(detail),
    marks: [{ from: instant(alert.start) ?? 0, to: instant(alert.end) ?? Math.min(history.to, Date.now()), name: alert.rule }],
    predicted: expectedOf(detail, predictedName),
  }
  if (forecast?.time.length) {
    const { value, low, high } = forecast
    drawing.predicted = { name: predictedName, time: times(forecast.time), value, ...(low && high ? { low, high } : {}) }
  }
  return drawing
}

/** Where nothing was foretold ahead: what was expected of each reading that shows the alert. */
function expectedOf(detail: Detail, name: string): Drawing['predicted'] {
  const seen = detail.alert.evidence.filter((one) => one.expected !== null && one.datastream === detail.alert.datastream)
  if (!seen.length) return undefined
  seen.sort((a, b) => (instant(a.time) ?? 0) - (instant(b.time) ?? 0))
  return {
    name,
    time: seen.map((one) => instant(one.time) ?? 0),
    value: seen.map((one) => one.expected),
    low: seen.map((one) => one.low),
    high: seen.map((one) => one.high),
  }
}

/** The limit in a condition such as `value > 12.5`, if it holds against readings as they are. */
export function limitsOf(detail: Detail): { value: number; name: string }[] {
  const found = /^\s*value\s*(>=?|<=?)\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)/i.exec(detail.rule?.when ?? '')
  return found ? [{ value: Number(found[2]), name: (detail.rule?.when ?? '').trim() }] : []
}
