import type { Component } from 'svelte'

export interface Screen {
  load: () => Promise<{ default: Component }>
  /** Whether the navigation names it. */
  listed: boolean
  /** The right that one needs to see it, beside reading. */
  right?: string
  /** The screen of one of its own, which the navigation counts to it. */
  holds?: string
}

/** Every screen; each is fetched when it is first shown. */
export const SCREENS: Record<string, Screen> = {
  overview: { load: () => import('../screen/Overview.svelte'), listed: true },
  alerts: { load: () => import('../screen/Alerts.svelte'), listed: true, holds: 'incident' },
  explore: { load: () => import('../screen/Explore.svelte'), listed: true },
  models: { load: () => import('../screen/Models.svelte'), listed: true },
  act: { load: () => import('../screen/Act.svelte'), listed: true },
  twin: { load: () => import('../screen/Twin.svelte'), listed: true },
  devices: { load: () => import('../screen/Devices.svelte'), listed: true },
  settings: { load: () => import('../screen/Settings.svelte'), listed: true },
  incident: { load: () => import('../screen/Incident.svelte'), listed: false },
}

/** Return which screen an address shows: `alerts` with a name is the incident of that name. */
export function screenOf(screen: string, name: string): string {
  return screen === 'alerts' && name ? 'incident' : screen
}
