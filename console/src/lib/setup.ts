import type { Streams } from '../api/kind'

/**
 * What a device needs to know to send, as a code that it reads: where the node is, as whom it signs in, and the
 * topic of each of its series, which is the path below `/` by HTTP, too.
 */
export function setup(origin: string, device: { name: string; thing: number; datastreams: number[] }, token: string, streams: Streams): string {
  const mine = streams.id.flatMap((id, i) => {
    const own = device.datastreams.length ? device.datastreams.includes(id) : streams.thing[i] === device.thing
    return own && streams.kind[i] === 'reading' ? [[streams.signal[i] || streams.name[i], `v1.1/Datastreams(${id})/Observations`]] : []
  })
  return JSON.stringify({ node: origin, device: device.name, token, topics: Object.fromEntries(mine) as Record<string, string> })
}
