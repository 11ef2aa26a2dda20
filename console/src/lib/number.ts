/** Write a number with as many digits as it deserves, and its unit. */
export function amount(value: number | null | undefined, unit = '', language = 'en'): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  const options: Intl.NumberFormatOptions =
    size !== 0 && (size < 0.001 || size >= 1e9) ? { notation: 'scientific', maximumFractionDigits: 2 } : digits(size)
  const text = new Intl.NumberFormat(language, options).format(value)
  return unit && unit !== '1' ? `${text} ${unit === '%' ? '%' : unit}` : text
}

function digits(size: number): Intl.NumberFormatOptions {
  return size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 }
}

export function percent(share: number | null | undefined, language = 'en'): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return '–'
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 }).format(share)
}
