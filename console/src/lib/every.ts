/**
 * Do something now and again and again, never twice at once, and not while nobody sees the page; what it
 * returns ends it.
 */
export function every(ms: number, work: () => Promise<unknown>): () => void {
  let over = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const turn = async (): Promise<void> => {
    if (!document.hidden) await work()
    if (!over) timer = setTimeout(() => void turn(), ms)
  }
  void turn()
  return () => {
    over = true
    clearTimeout(timer)
  }
}
