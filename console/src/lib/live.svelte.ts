import type { LiveRows, LiveStrip, Slim } from '../api/kind'
import { query } from './call'

export interface Hearing {
  streams?: string
  alerts?: boolean
  strip?: boolean
  onRows?: (rows: LiveRows) => void
  onAlert?: (alert: Slim) => void
  onStrip?: (strip: LiveStrip) => void
  /** What came between `from` and now was not told: ask for it again. */
  onGap?: (from: number) => void
  onEnd?: (why: string) => void
}

/** Whether the node is heard; one place, so that one banner says so. */
class Line {
  heard: boolean = $state(true)
  since: number = $state(0)

  set(heard: boolean): void {
    if (this.heard && !heard) this.since = Date.now()
    this.heard = heard
  }
}

export const line = new Line()

const SLOWEST_MS = 30_000

/** Wait between tries: 1 s, 2 s, 4 s … at most 30 s. */
export function patience(tries: number): number {
  return Math.min(SLOWEST_MS, 1000 * 2 ** Math.max(0, tries - 1))
}

/** Follow what happens as it happens; returns what ends it. A line that breaks is made anew. */
export function follow(hearing: Hearing): () => void {
  const path = `/api/live${query({ streams: hearing.streams, alerts: hearing.alerts, strip: hearing.strip })}`
  let source: EventSource | null = null
  let timer = 0
  let tries = 0
  let over = false

  const open = (): void => {
    if (over) return
    source = new EventSource(path)
    source.onopen = () => {
      if (tries) hearing.onGap?.(line.since)
      tries = 0
      line.set(true)
    }
    source.onerror = () => {
      line.set(false)
      source?.close()
      tries++
      timer = window.setTimeout(open, patience(tries))
    }
    hear(source, 'rows', (data) => hearing.onRows?.(data as LiveRows))
    hear(source, 'alert', (data) => (data as Slim[]).forEach((one) => hearing.onAlert?.(one)))
    hear(source, 'strip', (data) => hearing.onStrip?.(data as LiveStrip))
    hear(source, 'gap', (data) => hearing.onGap?.((data as { from: number }).from))
    hear(source, 'end', (data) => {
      const why = (data as { why: string }).why
      if (why === 'session') close()
      hearing.onEnd?.(why)
    })
  }
  const again = (): void => {
    if (over) return
    if (source?.readyState === EventSource.OPEN) return line.set(true)
    clearTimeout(timer)
    source?.close()
    open()
  }
  const gone = (): void => line.set(false)
  const close = (): void => {
    over = true
    clearTimeout(timer)
    source?.close()
    removeEventListener('online', again)
    removeEventListener('offline', gone)
  }
  addEventListener('online', again)
  addEventListener('offline', gone)
  open()
  return close
}

function hear(source: EventSource, name: string, work: (data: unknown) => void): void {
  source.addEventListener(name, (event: MessageEvent<string>) => work(JSON.parse(event.data)))
}
