import { Problem, problemOf } from './problem'

let csrf = ''
let lost: () => void = () => undefined

/** Remember the session's own word, which every change repeats; and whom to tell when the session has ended. */
export function setSession(word: string, onLost?: () => void): void {
  csrf = word
  if (onLost) lost = onLost
}

export interface Page<T> {
  value: T
  next: string | null
}

const kept = new Map<string, { mark: string; value: unknown }>()
const MOST_KEPT = 12

/** Forget what was fetched: the next person at this screen may not see it. */
export function forget(): void {
  kept.clear()
}

/** Ask the node; throws `Problem`. What has an ETag is kept, and not sent again while it holds. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await getPage<T>(path, signal)).value
}

/** Ask for one page of a list, and what `after` shows the next. */
export async function getPage<T>(path: string, signal?: AbortSignal): Promise<Page<T>> {
  const before = kept.get(path)
  const headers: Record<string, string> = before ? { 'if-none-match': before.mark } : {}
  const answer = await reach(path, { headers, signal: signal ?? null })
  if (answer.status === 304 && before) return { value: before.value as T, next: null }
  const value = (await read(answer)) as T
  const mark = answer.headers.get('etag')
  if (mark) {
    kept.delete(path)
    kept.set(path, { mark, value })
    const oldest = kept.keys().next().value
    if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
  }
  return { value, next: answer.headers.get('x-next') }
}

/** Change something; throws `Problem`. */
export async function change<T>(
  method: 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T> {
  const headers: Record<string, string> = {}
  if (csrf) headers['x-csrf-token'] = csrf
  if (body !== undefined) headers['content-type'] = 'application/json'
  const answer = await reach(path, { method, headers, body: body === undefined ? null : JSON.stringify(body) })
  return (await read(answer)) as T
}

async function reach(path: string, wish: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: 'same-origin', ...wish })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new Problem(0, 'unreachable')
  }
}

async function read(answer: Response): Promise<unknown> {
  const text = await answer.text()
  if (answer.ok) return text ? JSON.parse(text) : null
  if (answer.status === 401) lost()
  throw problemOf(answer.status, text, answer.headers.get('retry-after'))
}

/** Write a query, leaving out what is not asked. */
export function query(wish: Record<string, string | number | boolean | null | undefined>): string {
  const found = new URLSearchParams()
  for (const [name, value] of Object.entries(wish)) {
    if (value !== null && value !== undefined && value !== '') found.set(name, String(value))
  }
  const text = found.toString()
  return text ? `?${text}` : ''
}
