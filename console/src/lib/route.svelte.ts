import { BASE, placeOf, type Place } from './address'

export { address } from './address'

class Route {
  place: Place = $state.raw(placeOf(location.pathname, location.search))

  constructor() {
    addEventListener('popstate', () => this.#read())
    document.addEventListener('click', (event) => this.#click(event))
  }

  go(to: string): void {
    history.pushState(null, '', to)
    this.#read()
    scrollTo(0, 0)
    document.getElementById('main')?.focus({ preventScroll: true })
  }

  /** Keep something of a screen in its address: filters, a span, what is picked. */
  set(wish: Record<string, string>): void {
    const query = new URLSearchParams(this.place.query)
    for (const [name, value] of Object.entries(wish)) value === '' ? query.delete(name) : query.set(name, value)
    const text = query.toString()
    history.replaceState(null, '', text ? `${location.pathname}?${text}` : location.pathname)
    this.#read()
  }

  #read(): void {
    this.place = placeOf(location.pathname, location.search)
  }

  /** Follow links of the console without loading it anew. */
  #click(event: MouseEvent): void {
    const link = event.target instanceof Element ? event.target.closest('a') : null
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return
    if (link.target || link.origin !== location.origin || link.hasAttribute('download')) return
    if (link.pathname !== BASE && !link.pathname.startsWith(`${BASE}/`)) return
    event.preventDefault()
    this.go(link.pathname + link.search)
  }
}

export const route = new Route()
