import uPlot from 'uplot'
import { colour, faint } from './look.svelte'
import { amount } from './number'
import { joined, type Line } from './series'
import { utc } from './time'

export interface Named extends Line {
  name: string
}

/** What a chart shows: measured lines solid, a predicted one dashed in violet with its band, limits across. */
export interface Drawing {
  title: string
  unit: string
  measured: Named[]
  predicted?: (Named & { low?: (number | null)[]; high?: (number | null)[] }) | undefined
  limits?: { value: number; name: string }[]
  /** Spans to shade, as that of an alert: ms. */
  marks?: { from: number; to: number; name: string }[]
  from?: number
  to?: number
}

export interface Setting {
  width: number
  height: number
  sync?: string | undefined
  onspan?: ((from: number, to: number) => void) | undefined
  language: string
}

/** Instants under the axis, in 24 hours and dates as ISO 8601 has them, for every language. */
const DAY = '\n{YYYY}-{MM}-{DD}'
const TICKS: (string | number | null)[][] = [
  [31_536_000, '{YYYY}', null, null, null, null, null, null, 1],
  [86_400, '{MM}-{DD}', '\n{YYYY}', null, null, null, null, null, 1],
  [60, '{HH}:{mm}', DAY, null, DAY, null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', DAY, null, DAY, null, null, null, 1],
  [0.001, ':{ss}.{fff}', DAY, null, DAY, null, null, null, 1],
]

const TINTS = ['ink', 'accent', 'major', 'minor', 'info', 'silent']

/** Lay everything over one axis; uPlot counts seconds. */
export function drawn(drawing: Drawing): uPlot.AlignedData {
  const lines: Line[] = [...drawing.measured]
  const { predicted } = drawing
  if (predicted) {
    lines.push(predicted)
    lines.push({ time: predicted.time, value: predicted.low ?? [] }, { time: predicted.time, value: predicted.high ?? [] })
  }
  const [axis, ...columns] = joined(lines)
  return [axis.map((ms) => ms / 1000), ...columns]
}

export function options(drawing: Drawing, setting: Setting): uPlot.Options {
  const { unit, predicted } = drawing
  const quiet = colour('quiet')
  const axis = { stroke: quiet, grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line') } }
  const shown = (_: uPlot, value: number | null): string => amount(value, unit, setting.language)
  const series: uPlot.Series[] = [{ value: (_, at) => (at === null ? '–' : utc(at * 1000)) }]
  drawing.measured.forEach((one, i) =>
    series.push({ label: one.name, stroke: colour(TINTS[i % TINTS.length] ?? 'ink'), width: 1.5, value: shown, spanGaps: false, points: { size: 4 } }),
  )
  const bands: uPlot.Band[] = []
  if (predicted) {
    const violet = colour('predicted')
    const at = series.length
    series.push({ label: predicted.name, stroke: violet, width: 1.5, dash: [6, 4], value: shown, points: { show: false } })
    for (const label of ['low', 'high']) series.push({ label, stroke: faint('predicted', 0.45), width: 1, value: shown, points: { show: false } })
    bands.push({ series: [at + 2, at + 1], fill: faint('predicted', 0.16) })
  }
  return {
    width: setting.width,
    height: setting.height,
    series,
    bands,
    axes: [{ ...axis, values: TICKS as uPlot.Axis.Values }, { ...axis, size: 64, values: (_, values) => values.map((one) => amount(one, '', setting.language)), label: unit, labelSize: 18, labelGap: 0, stroke: quiet }],
    scales: { y: { range: (_, low, high) => reach(low, high, drawing.limits ?? []) } },
    cursor: { drag: { x: true, y: false, setScale: !setting.onspan }, ...(setting.sync ? { sync: { key: setting.sync } } : {}) },
    legend: { live: true },
    hooks: {
      drawClear: [(plot) => shade(plot, drawing)],
      draw: [(plot) => rule(plot, drawing)],
      ...(setting.onspan ? { setSelect: [(plot: uPlot) => told(plot, setting.onspan)] } : {}),
    },
  }
}

/** The span of values to show: the data, the limits near them, and some air. */
export function reach(low: number | null, high: number | null, limits: { value: number }[]): [number, number] {
  const found = [low, high, ...limits.map((one) => one.value)].filter((one) => one !== null && Number.isFinite(one)) as number[]
  if (!found.length) return [0, 1]
  const [least, most] = [Math.min(...found), Math.max(...found)]
  const air = (most - least || Math.abs(most) || 1) * 0.06
  return [least - air, most + air]
}

function told(plot: uPlot, work: Setting['onspan']): void {
  const { left, width } = plot.select
  if (width < 4) return
  work?.(plot.posToVal(left, 'x') * 1000, plot.posToVal(left + width, 'x') * 1000)
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
}

function shade(plot: uPlot, drawing: Drawing): void {
  const { ctx, bbox } = plot
  for (const mark of drawing.marks ?? []) {
    const left = Math.max(bbox.left, plot.valToPos(mark.from / 1000, 'x', true))
    const right = Math.min(bbox.left + bbox.width, Math.max(left + 2, plot.valToPos(mark.to / 1000, 'x', true)))
    if (right <= left) continue
    ctx.fillStyle = faint('major', 0.16)
    ctx.fillRect(left, bbox.top, right - left, bbox.height)
  }
}

function rule(plot: uPlot, drawing: Drawing): void {
  const { ctx, bbox } = plot
  ctx.save()
  ctx.strokeStyle = ctx.fillStyle = colour('critical')
  ctx.textAlign = 'left'
  ctx.textBaseline = 'bottom'
  ctx.setLineDash([2, 3])
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`
  for (const limit of drawing.limits ?? []) {
    const y = plot.valToPos(limit.value, 'y', true)
    if (y < bbox.top || y > bbox.top + bbox.height) continue
    ctx.beginPath()
    ctx.moveTo(bbox.left, y)
    ctx.lineTo(bbox.left + bbox.width, y)
    ctx.stroke()
    ctx.fillText(limit.name, bbox.left + 6, y - 4)
  }
  ctx.restore()
}
