import type { FeatureCollection, Geometry, Position } from 'geojson'

/**
 * Lay outlines of countries into the plane. Those of `world-atlas` are made for a globe: a ring goes over the edge of
 * the map as if there were none, which would be a line across all of it.
 */
export function flat(world: FeatureCollection): FeatureCollection {
  return { ...world, features: world.features.map((one) => ({ ...one, geometry: laid(one.geometry) })) }
}

function laid(one: Geometry): Geometry {
  if (one.type === 'Polygon') return { ...one, coordinates: one.coordinates.map(ring) }
  if (one.type === 'MultiPolygon') return { ...one, coordinates: one.coordinates.map((part) => part.map(ring)) }
  return one
}

/** Go on over the edge, to beyond 180 degrees; a ring around a pole is closed along it. */
function ring(points: Position[]): Position[] {
  let turn = 0
  let before = points[0]?.[0] ?? 0
  const found = points.map(([lon = 0, lat = 0]) => {
    if (lon - before > 180) turn -= 360
    else if (before - lon > 180) turn += 360
    before = lon
    return [lon + turn, lat]
  })
  if (!turn) return found
  const pole = (points[0]?.[1] ?? 0) < 0 ? -90 : 90
  const [first, last] = [found[0]?.[0] ?? 0, found.at(-1)?.[0] ?? 0]
  return [...found, [last, pole], [first, pole], ...found.slice(0, 1)]
}
