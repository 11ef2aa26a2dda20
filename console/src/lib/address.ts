export const BASE = '/console'

export interface Place {
  screen: string
  name: string
  query: URLSearchParams
}

/** Read an address: `/console/alerts/ab12?state=open` is the screen alerts, the name ab12. */
export function placeOf(pathname: string, search: string): Place {
  const parts = pathname.replace(/^\/console\/?/, '').split('/').filter(Boolean)
  return {
    screen: parts[0] ?? 'overview',
    name: decode(parts.slice(1).join('/')),
    query: new URLSearchParams(search),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Write an address of the console. */
export function address(screen: string, name = '', wish: Record<string, string> = {}): string {
  const path = screen === 'overview' ? `${BASE}/` : `${BASE}/${screen}${name ? `/${encodeURIComponent(name)}` : ''}`
  const query = new URLSearchParams(Object.entries(wish).filter(([, value]) => value !== '')).toString()
  return query ? `${path}?${query}` : path
}
