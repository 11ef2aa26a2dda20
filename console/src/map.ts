import { feature } from 'topojson-client'
import type { Topology } from 'topojson-specification'
import { addProtocol, Map as Canvas, Marker, NavigationControl, ScaleControl, setWorkerUrl } from 'maplibre-gl'
import 'maplibre-gl/dist/maplibre-gl.css'
import { PMTiles, Protocol } from 'pmtiles'
import worker from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import world from 'world-atlas/countries-110m.json?url'
import type { FeatureCollection } from 'geojson'
import { colour } from './lib/look.svelte'
import { Dots } from './dots'
import type { Mark } from './lib/mark'
import { flat } from './lib/outline'
import { abnormal, bounds, type Spot } from './lib/place'

setWorkerUrl(worker)

const NAMED = 25
const GROUND = '/api/map.pmtiles'
const WATER = /water|ocean|river|lake/i
const NOTHING: FeatureCollection = { type: 'FeatureCollection', features: [] }

/** The operator's networks, and whether there is a map of the ground to lay under them. */
export type Networks = FeatureCollection & { ground: boolean }

export interface CityMap {
  /** Show Things as they are; `drawn` is told after how many milliseconds they stood on the screen. */
  show(spots: Spot[], word: (mark: Mark) => string, drawn: (ms: number) => void): void
  paint(): void
  close(): void
}

/** Draw a map without any server of tiles or letters: outlines of the world, the operator's networks, Things. */
export async function cityMap(
  container: HTMLElement,
  networks: Networks,
  pick: (id: number) => void,
  still: boolean,
): Promise<CityMap> {
  const map = new Canvas({
    container,
    style: { version: 8, sources: {}, layers: [] },
    center: [8, 30],
    zoom: 1,
    attributionControl: false,
    fadeDuration: 0,
    dragRotate: false,
    renderWorldCopies: false, // Things are drawn once
    pitchWithRotate: false,
  })
  map.touchZoomRotate.disableRotation()
  map.addControl(new NavigationControl({ showCompass: false }), 'bottom-right')
  map.addControl(new ScaleControl(), 'bottom-left')
  await map.once('load')
  const outlines = (await (await fetch(world)).json()) as Topology
  const countries = outlines.objects.countries
  const land = countries ? flat(feature(outlines, countries) as unknown as FeatureCollection) : NOTHING
  map.addSource('land', { type: 'geojson', data: land })
  map.addSource('network', { type: 'geojson', data: networks })
  layers(map)
  if (networks.ground) await ground(map)
  const dots = new Dots()
  map.addLayer(dots)
  map.on('click', (event) => {
    const id = dots.at(event.lngLat)
    if (id !== null) pick(id)
  })
  map.on('mousemove', (event) => (map.getCanvas().style.cursor = dots.at(event.lngLat) === null ? '' : 'pointer'))
  paint(map)
  const labels: Marker[] = []
  let placed = false
  return {
    show(spots, word, drawn) {
      const begun = performance.now()
      void map.once('idle').then(() => drawn(performance.now() - begun))
      dots.set(spots)
      labels.splice(0).forEach((one) => one.remove())
      for (const spot of abnormal(spots).slice(0, NAMED)) {
        if (spot.lon === null || spot.lat === null || !spot.mark) continue
        const element = document.createElement('span')
        element.className = 'map-word'
        element.textContent = `${word(spot.mark)} · ${spot.name}`
        element.setAttribute('aria-hidden', 'true') // the table says the same to who does not see
        labels.push(new Marker({ element, anchor: 'left', offset: [11, 0] }).setLngLat([spot.lon, spot.lat]).addTo(map))
      }
      const all = placed ? null : bounds(spots)
      if (all) {
        placed = true
        map.fitBounds(all, { padding: { top: 30, bottom: 40, left: 40, right: 140 }, maxZoom: 13, animate: !still })
      }
    },
    paint: () => {
      paint(map)
      dots.paint()
    },
    close: () => map.remove(),
  }
}

/** Lay the operator's own map of the ground under the networks, where the node has one. */
async function ground(map: Canvas): Promise<void> {
  const protocol = new Protocol()
  const file = new PMTiles(`${location.origin}${GROUND}`)
  protocol.add(file)
  addProtocol('pmtiles', protocol.tile)
  const { tileType, minZoom, maxZoom } = await file.getHeader()
  const tiles = { url: `pmtiles://${location.origin}${GROUND}`, minzoom: minZoom, maxzoom: maxZoom }
  if (tileType !== 1) {
    map.addSource('ground', { type: 'raster', tileSize: 256, ...tiles })
    map.addLayer({ id: 'ground-raster', type: 'raster', source: 'ground' }, 'area')
    return
  }
  const { vector_layers: named } = (await file.getMetadata()) as { vector_layers?: { id: string }[] }
  map.addSource('ground', { type: 'vector', ...tiles })
  for (const { id } of named ?? []) {
    const of = { source: 'ground', 'source-layer': id } as const
    map.addLayer({ id: `ground-fill-${id}`, type: 'fill', ...of, filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-opacity': 0.5 } }, 'area')
    map.addLayer({ id: `ground-line-${id}`, type: 'line', ...of, filter: ['==', ['geometry-type'], 'LineString'] }, 'area')
  }
}

function layers(map: Canvas): void {
  map.addLayer({ id: 'ground', type: 'background' })
  map.addLayer({ id: 'land', type: 'fill', source: 'land' })
  map.addLayer({ id: 'border', type: 'line', source: 'land' })
  map.addLayer({ id: 'area', type: 'fill', source: 'network', filter: ['==', ['geometry-type'], 'Polygon'] })
  map.addLayer({ id: 'network', type: 'line', source: 'network', paint: { 'line-width': 2 } })
}

/** Give the layers the colours of the theme. */
function paint(map: Canvas): void {
  map.setPaintProperty('ground', 'background-color', colour('ground'))
  map.setPaintProperty('land', 'fill-color', colour('raised'))
  map.setPaintProperty('border', 'line-color', colour('line'))
  map.setPaintProperty('area', 'fill-color', colour('line'))
  map.setPaintProperty('area', 'fill-opacity', 0.5)
  map.setPaintProperty('network', 'line-color', colour('plain'))
  for (const { id } of map.getStyle().layers) {
    if (id.startsWith('ground-fill-')) map.setPaintProperty(id, 'fill-color', colour(WATER.test(id) ? 'line' : 'raised'))
    if (id.startsWith('ground-line-')) map.setPaintProperty(id, 'line-color', colour('line'))
  }
}
