export type Theme = 'auto' | 'light' | 'dark'

class Look {
  theme: Theme = $state('auto')
  /** Counts up when colours change, for what paints on a canvas. */
  painted: number = $state(0)

  constructor() {
    const kept = localStorage.getItem('nervure.theme')
    this.#set(kept === 'light' || kept === 'dark' ? kept : 'auto')
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.painted++)
  }

  choose(theme: Theme): void {
    localStorage.setItem('nervure.theme', theme)
    this.#set(theme)
  }

  #set(theme: Theme): void {
    this.theme = theme
    if (theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    this.painted++
  }
}

export const look = new Look()

/** Return a token of `app.css` as a canvas needs it: `rgb(…)`. */
export function colour(token: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(--${token})`
  document.body.append(probe)
  const found = getComputedStyle(probe).color
  probe.remove()
  return found
}

/** Return a token as `rgba(…)` with that much of it showing. */
export function faint(token: string, share: number): string {
  return colour(token).replace(/^rgb\((.*)\)$/, `rgba($1, ${share})`)
}
