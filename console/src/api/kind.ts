/** What the node answers, by the names the console gives it; `schema.d.ts` is written from the API itself. */
import type { components } from './schema'

type Schemas = components['schemas']

export type Severity = 'critical' | 'major' | 'minor' | 'warning' | 'info'
export const SEVERITIES: Severity[] = ['critical', 'major', 'minor', 'warning', 'info']
export type Verdict = Schemas['Judgement']['verdict']

export type Me = Schemas['Me']
export type Things = Schemas['ThingsView']
export type Streams = Schemas['StreamsView']
export type Series = Schemas['SeriesView']
export type History = Schemas['SeriesWhole']
export type Counts = Schemas['CountView']
export type Rate = Schemas['RateView']
export type Chattering = Schemas['ChatterView'] & { severity: Severity }
export type Preview = Schemas['PreviewView']
export type Slim = Omit<Schemas['BriefAlert'], 'severity' | 'verdict'> & { severity: Severity; verdict: Verdict | null }
export type Overview = Omit<Schemas['OverviewView'], 'severities' | 'incidents'> & { severities: Severity[]; incidents: Slim[] }
export type Detail = Omit<Schemas['IncidentView'], 'alert' | 'similar' | 'monitor'> & {
  alert: Alert
  similar: { alert: Slim; likeness: number }[]
  monitor: Record<string, unknown> | null
}
export type Model = Schemas['ModelView']
export type ModelDetail = Schemas['ModelDetail']
export type Label = Schemas['LabelView']
export type Training = Schemas['Training']
export type Errors = Schemas['ErrorsView']
export type Device = Schemas['DeviceView']
export type Admitted = Schemas['Admitted']
export type Refused = Schemas['RefusedView']
export type Quality = Schemas['QualityView']
export type Decoded = Schemas['Decoded']
export type Solution = Schemas['SolutionView']
export type Check = Schemas['CheckView']
export type User = Schemas['UserView']
export type Token = Schemas['TokenView']
export type Project = Schemas['Project']
export type Audit = Schemas['AuditView']
export type Loop = Schemas['LoopView']
export type Mode = Loop['mode']
export type Modes = Schemas['ModesView']
export type LoopTask = Schemas['TaskView']
export type LoopLog = Schemas['LogView']
export type LoopLine = Schemas['LineView']
export type RuleVerdict = Schemas['VerdictView']
export type Twins = Schemas['TwinsView']
export type Question = Schemas['QuestionView']
export type TwinEntry = Schemas['TwinView']
export type Asked = Schemas['AskedView']
export type Change = Schemas['ChangeView']

/** One reading that shows an alert. */
export interface Evidence {
  datastream: number
  time: string
  value: number
  expected: number | null
  low: number | null
  high: number | null
  score: number | null
}

/** An alert as the older endpoints write it, without a type of its own there: instants in ISO 8601. */
export interface Alert {
  id: string
  severity: Severity
  solution: string
  rule: string
  thing: number
  datastream: number
  text: string
  start: string
  raised: string
  end: string | null
  active: boolean
  acknowledged: boolean
  shelved_until: string | null
  sure: number | null
  evidence: Evidence[]
  model: string
  properties: Record<string, unknown>
}

/** Events of `/api/live`, which no OpenAPI describes. */
export interface LiveRows {
  stream: number[]
  time: number[]
  value: (number | null)[]
  kept: boolean
}

export interface LiveStrip {
  now: number
  p95_ms: number | null
  newest: number | null
  open_alerts: number
  reporting: number
  expected: number
  problems: string[]
}
