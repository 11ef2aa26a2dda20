import { MercatorCoordinate, type CustomLayerInterface, type CustomRenderMethodInput, type LngLat, type Map as Canvas } from 'maplibre-gl'
import { colour } from './lib/look.svelte'
import { MARKS, PATHS, type Mark } from './lib/mark'
import { layDots, nearest, type Laid } from './lib/dot'
import type { Spot } from './lib/place'

const SPRITE = 40
const MARK_PX = 20
const NEAR_PX = 12

const VERTEX = `#version 300 es
in vec3 a_dot;
uniform mat4 u_matrix;
uniform vec2 u_size;
out float v_kind;
void main() {
  gl_Position = u_matrix * vec4(a_dot.xy, 0.0, 1.0);
  gl_PointSize = a_dot.z < 0.5 ? u_size.x : u_size.y;
  v_kind = a_dot.z;
}`
const FRAGMENT = `#version 300 es
precision highp float;
in float v_kind;
uniform sampler2D u_sprites;
uniform vec2 u_size;
uniform vec3 u_plain;
uniform vec3 u_edge;
out vec4 shown;
void main() {
  if (v_kind > 0.5) {
    shown = texture(u_sprites, vec2((v_kind - 1.0 + gl_PointCoord.x) / ${MARKS.length}.0, gl_PointCoord.y));
  } else {
    float away = u_size.x * (0.5 - length(gl_PointCoord - 0.5));
    float inside = clamp(away, 0.0, 1.0);
    shown = vec4(mix(u_edge, u_plain, clamp(away - 1.0, 0.0, 1.0)) * inside, inside);
  }
}`

/**
 * Things on the map as points of one buffer that one call draws, the worst on top.
 *
 * Layers of a source would be cut into tiles and laid out anew whenever a mark changes, which takes a
 * second for ten thousand; here a change is a new buffer and the next frame.
 */
export class Dots implements CustomLayerInterface {
  readonly id = 'things'
  readonly type = 'custom' as const
  #map: Canvas | null = null
  #gl: WebGL2RenderingContext | null = null
  #program: WebGLProgram | null = null
  #array: WebGLVertexArrayObject | null = null
  #buffer: WebGLBuffer | null = null
  #texture: WebGLTexture | null = null
  #plain: [number, number, number] = [0, 0, 0]
  #edge: [number, number, number] = [0, 0, 0]
  #laid: Laid = layDots([], project)

  onAdd(map: Canvas, gl: WebGL2RenderingContext): void {
    this.#map = map
    this.#gl = gl
    this.#program = program(gl)
    this.#array = gl.createVertexArray()
    this.#buffer = gl.createBuffer()
    this.#texture = gl.createTexture()
    gl.bindVertexArray(this.#array)
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffer)
    const place = gl.getAttribLocation(this.#program, 'a_dot')
    gl.enableVertexAttribArray(place)
    gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0)
    gl.bindVertexArray(null)
    this.#fill()
    this.paint()
  }

  onRemove(): void {
    const gl = this.#gl
    gl?.deleteProgram(this.#program)
    gl?.deleteBuffer(this.#buffer)
    gl?.deleteTexture(this.#texture)
    gl?.deleteVertexArray(this.#array)
    this.#gl = this.#map = null
  }

  /** Show these, from the next frame on. */
  set(spots: Spot[]): void {
    this.#laid = layDots(spots, project)
    this.#fill()
    this.#map?.triggerRepaint()
  }

  /** Take the colours of the theme. */
  paint(): void {
    const gl = this.#gl
    if (!gl) return
    this.#plain = rgb(colour('plain'))
    this.#edge = rgb(colour('surface'))
    gl.bindTexture(gl.TEXTURE_2D, this.#texture)
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false)
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true)
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, sprites())
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR)
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR)
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE)
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE)
    gl.bindTexture(gl.TEXTURE_2D, null)
    this.#map?.triggerRepaint()
  }

  /** The Thing at a place of the map, null where there is none near. */
  at(place: LngLat): number | null {
    const found = MercatorCoordinate.fromLngLat(place)
    const size = 512 * 2 ** (this.#map?.getZoom() ?? 0)
    return nearest(this.#laid, found.x, found.y, NEAR_PX / size)
  }

  render(gl: WebGL2RenderingContext | WebGLRenderingContext, { defaultProjectionData }: CustomRenderMethodInput): void {
    if (!this.#program || !this.#map || !this.#laid.ids.length || !('bindVertexArray' in gl)) return
    const ratio = devicePixelRatio
    const at = (name: string): WebGLUniformLocation | null => (this.#program ? gl.getUniformLocation(this.#program, name) : null)
    gl.useProgram(this.#program)
    gl.bindVertexArray(this.#array)
    gl.activeTexture(gl.TEXTURE0)
    gl.bindTexture(gl.TEXTURE_2D, this.#texture)
    gl.uniform1i(at('u_sprites'), 0)
    gl.uniformMatrix4fv(at('u_matrix'), false, moved(defaultProjectionData.mainMatrix, this.#laid.origin))
    gl.uniform2f(at('u_size'), plainSize(this.#map.getZoom()) * ratio, MARK_PX * ratio)
    gl.uniform3fv(at('u_plain'), this.#plain)
    gl.uniform3fv(at('u_edge'), this.#edge)
    gl.drawArrays(gl.POINTS, 0, this.#laid.ids.length)
    gl.bindVertexArray(null)
  }

  #fill(): void {
    const gl = this.#gl
    if (!gl) return
    gl.bindBuffer(gl.ARRAY_BUFFER, this.#buffer)
    gl.bufferData(gl.ARRAY_BUFFER, this.#laid.dots, gl.DYNAMIC_DRAW)
    gl.bindBuffer(gl.ARRAY_BUFFER, null)
  }
}

function project(lon: number, lat: number): [number, number] {
  const { x, y } = MercatorCoordinate.fromLngLat([lon, lat])
  return [x, y]
}

/** How wide a Thing is that has no mark, in pixels, its edge counted. */
function plainSize(zoom: number): number {
  return 2 * (1 + 2.5 + 3.5 * Math.min(1, Math.max(0, (zoom - 2) / 10)))
}

/** A matrix for places counted from an origin: near to it, single precision is enough at every zoom. */
function moved(matrix: ArrayLike<number>, [x, y]: [number, number]): Float32Array {
  const found = Float32Array.from(matrix)
  for (let row = 0; row < 4; row++) found[12 + row] = (matrix[row] ?? 0) * x + (matrix[4 + row] ?? 0) * y + (matrix[12 + row] ?? 0)
  return found
}

function program(gl: WebGL2RenderingContext): WebGLProgram {
  const made = gl.createProgram()
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind)
    if (!shader) continue
    gl.shaderSource(shader, text)
    gl.compileShader(shader)
    gl.attachShader(made, shader)
  }
  gl.linkProgram(made)
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? 'no program')
  return made
}

/** The shapes of all marks, side by side. */
function sprites(): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  canvas.width = SPRITE * MARKS.length
  canvas.height = SPRITE
  const pen = canvas.getContext('2d')
  if (pen) MARKS.forEach((mark, place) => draw(pen, mark, place))
  return canvas
}

function draw(pen: CanvasRenderingContext2D, mark: Mark, place: number): void {
  pen.setTransform(2, 0, 0, 2, SPRITE * place + 4, 4)
  const path = new Path2D(PATHS[mark])
  pen.lineJoin = 'round'
  pen.strokeStyle = colour('surface')
  pen.lineWidth = 4.5
  pen.stroke(path)
  pen.strokeStyle = pen.fillStyle = colour(mark)
  pen.lineWidth = 2
  if (mark !== 'info' && mark !== 'silent') pen.fill(path)
  pen.stroke(path)
}

function rgb(text: string): [number, number, number] {
  const [red = 0, green = 0, blue = 0] = (text.match(/[\d.]+/g) ?? []).map(Number)
  return [red / 255, green / 255, blue / 255]
}
