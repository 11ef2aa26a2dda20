export interface Heat {
  from: number
  to: number
  px: number
  stream: number[]
  encoding: 'u8' | 'f32'
  scale: 'row' | 'all'
  low: number[] | number
  high: number[] | number
  data: string
}

export const NOTHING = 255

/** Undo base64: a cell is how far its value lies between its row's low and high, 0 … 254; 255 is nothing. */
export function cells(data: string): Uint8Array {
  const text = atob(data)
  const found = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i)
  return found
}

/** Colours of the cells as a picture has them: 256 × RGBA, evenly from one colour to another, nothing last. */
export function ramp(low: string, high: string, nothing: string): Uint8ClampedArray {
  const [from, to, none] = [parts(low), parts(high), parts(nothing)]
  const found = new Uint8ClampedArray(256 * 4)
  for (let code = 0; code < 256; code++) {
    const share = code / 254
    for (let part = 0; part < 3; part++) {
      const [a, b, c] = [from[part] ?? 0, to[part] ?? 0, none[part] ?? 0]
      found[code * 4 + part] = code === NOTHING ? c : a + (b - a) * share
    }
    found[code * 4 + 3] = 255
  }
  return found
}

function parts(colour: string): number[] {
  return [...colour.matchAll(/[\d.]+/g)].slice(0, 3).map((found) => Number(found[0]))
}

/** Paint cells over a picture of width × rows. */
export function paint(codes: Uint8Array, colours: Uint8ClampedArray, picture: Uint8ClampedArray): void {
  const words = new Uint32Array(colours.buffer, colours.byteOffset, 256)
  const target = new Uint32Array(picture.buffer, picture.byteOffset, codes.length)
  for (let i = 0; i < codes.length; i++) target[i] = words[codes[i] ?? NOTHING] ?? 0
}

/** The value of a cell, null where there is nothing. */
export function valueOf(heat: Heat, codes: Uint8Array, row: number, column: number): number | null {
  const code = codes[row * heat.px + column]
  if (code === undefined || code === NOTHING) return null
  const low = typeof heat.low === 'number' ? heat.low : (heat.low[row] ?? 0)
  const high = typeof heat.high === 'number' ? heat.high : (heat.high[row] ?? 0)
  return low + (code / 254) * (high - low)
}
