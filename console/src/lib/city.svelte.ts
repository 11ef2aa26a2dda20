import type { LiveStrip, Overview, Slim, Things } from '../api/kind'
import { forget, get } from './call'
import { follow } from './live.svelte'
import { rank, take } from './incident'
import { session } from './session.svelte'

const AGAIN_MS = 1500
const EVERY_MS = 60_000

/** What the whole city is like now: held for every screen, so that none asks for it twice. */
class City {
  overview: Overview | null = $state.raw(null)
  things: Things | null = $state.raw(null)
  strip: LiveStrip | null = $state.raw(null)
  incidents: Slim[] = $state.raw([])
  cause: unknown = $state.raw(null)
  /** Counts up with every alert that is told, for lists that show alerts. */
  told: number = $state(0)
  #hearers = new Set<(alert: Slim) => void>()
  #timer = 0
  #turn = 0

  get open(): number {
    return this.strip?.open_alerts ?? this.overview?.counts.open_alerts ?? 0
  }

  /** Fetch and follow for as long as somebody is signed in. */
  begin(): () => void {
    void this.fetch()
    const end = follow({
      alerts: true,
      strip: true,
      onStrip: (strip) => (this.strip = strip),
      onAlert: (alert) => this.#heard(alert),
      onGap: () => {
        void this.fetch()
        this.told++
      },
      onEnd: (why) => why === 'session' && void session.begin(),
    })
    const every = setInterval(() => document.hidden || void this.fetch(), EVERY_MS)
    return () => {
      end()
      clearInterval(every)
      clearTimeout(this.#timer)
      this.#leave()
    }
  }

  /** Nobody is signed in any more: what the one before saw is not for the next. */
  #leave(): void {
    this.#turn++
    this.overview = this.things = this.strip = null
    this.incidents = []
    this.cause = null
    forget()
  }

  /** Be told of every alert that is new or has changed; returns what ends it. */
  hear(work: (alert: Slim) => void): () => void {
    this.#hearers.add(work)
    return () => this.#hearers.delete(work)
  }

  async fetch(): Promise<void> {
    const turn = this.#turn
    try {
      const [things, overview] = await Promise.all([get<Things>('/api/things'), get<Overview>('/api/overview')])
      if (turn !== this.#turn) return
      this.things = things
      this.overview = overview
      this.incidents = overview.incidents
      this.cause = null
    } catch (cause) {
      if (turn === this.#turn) this.cause = cause
    }
  }

  /** An alert is shown at once; what follows from it (the states of Things, counts) a moment later. */
  #heard(alert: Slim): void {
    this.incidents = rank(take(this.incidents, alert))
    for (const work of this.#hearers) work(alert)
    this.told++
    clearTimeout(this.#timer)
    this.#timer = window.setTimeout(() => void this.fetch(), AGAIN_MS)
  }
}

export const city = new City()
