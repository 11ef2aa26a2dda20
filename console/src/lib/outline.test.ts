import { readFileSync } from 'node:fs'
import type { FeatureCollection, MultiPolygon, Polygon } from 'geojson'
import { feature } from 'topojson-client'
import type { Topology } from 'topojson-specification'
import { expect, it } from 'vitest'
import { flat } from './outline'

it('no outline of the world crosses the map', () => {
  const world = JSON.parse(readFileSync('node_modules/world-atlas/countries-110m.json', 'utf8')) as Topology
  const land = feature(world, world.objects.countries as never) as unknown as FeatureCollection<Polygon | MultiPolygon>
  const steps = (of: FeatureCollection): number[] =>
    (of as typeof land).features
      .flatMap(({ geometry }) => (geometry.type === 'Polygon' ? geometry.coordinates : geometry.coordinates.flat()))
      .flatMap((ring) => ring.slice(1).flatMap(([lon = 0, lat = 0], i) => (lat === ring[i]?.[1] && Math.abs(lat) === 90 ? [] : [Math.abs(lon - (ring[i]?.[0] ?? 0))])))
  expect(steps(land).filter((one) => one > 180).length).toBeGreaterThan(3)
  expect(steps(flat(land)).filter((one) => one > 180)).toEqual([])
  expect(flat(land).features.length).toBe(land.features.length)
})
