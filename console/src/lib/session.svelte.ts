import type { Me } from '../api/kind'
import { change, get, setSession } from './call'
import { Problem } from './problem'

/** Who uses the console, and what they may do. */
class Session {
  me: Me | null = $state.raw(null)
  known: boolean = $state(false)
  problem: Problem | null = $state.raw(null)

  constructor() {
    setSession('', () => (this.me = null))
  }

  async begin(): Promise<void> {
    try {
      this.#take(await get<Me>('/api/me'))
      this.problem = null
    } catch (cause) {
      const problem = cause instanceof Problem ? cause : new Problem(0, String(cause))
      this.problem = problem.status === 401 ? null : problem
    }
    this.known = true
  }

  async signIn(name: string, password: string): Promise<void> {
    this.#take(await change<Me>('POST', '/api/login', { name, password }))
  }

  async signOut(): Promise<void> {
    await change('POST', '/api/logout')
    this.me = null
    setSession('')
  }

  may(right: string): boolean {
    return this.me?.rights.some((one) => one === right) ?? false
  }

  #take(me: Me): void {
    setSession(me.csrf)
    this.me = me
  }
}

export const session = new Session()
