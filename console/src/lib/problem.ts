/** What went wrong, as the node says it: a sentence, what to do, and the HTTP status (0: not reached). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint = '',
    readonly retry_s = 0,
  ) {
    super(message)
  }
}

/** Read what an answer that is no success says, whatever it is made of. */
export function problemOf(status: number, text: string, retry: string | null): Problem {
  let message = `${status}`
  let hint = ''
  try {
    const said: unknown = JSON.parse(text)
    if (said && typeof said === 'object') {
      if ('message' in said && typeof said.message === 'string') message = said.message
      if ('hint' in said && typeof said.hint === 'string') hint = said.hint
    }
  } catch {
    if (text && text.length < 300) message = text
  }
  return new Problem(status, message, hint, Number(retry ?? 0) || 0)
}
