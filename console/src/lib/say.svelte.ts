import en from '../message/en.json'

export type Word = keyof typeof en
export type Language = 'en' | 'de'

export const LANGUAGES: Record<Language, string> = { en: 'English', de: 'Deutsch' }

type Values = Record<string, string | number>

/** Put values into a message; `{n|one|other}` chooses by the number n, in which # stands for it. */
export function fill(text: string, values: Values, language: string): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, other?: string) => {
    const value = values[name]
    if (value === undefined) return whole
    const shown = typeof value === 'number' ? value.toLocaleString(language) : value
    if (one === undefined || other === undefined) return shown
    const rule = new Intl.PluralRules(language).select(Number(value))
    return (rule === 'one' ? one : other).replaceAll('#', () => shown)
  })
}

class Say {
  language: Language = $state('en')
  /** How numbers and times are written: as the browser's own region does, if it speaks this language. */
  locale: string = $state('en')
  #words: Partial<Record<Word, string>> = $state.raw(en)

  /** Take the language that was chosen before, else the browser's. */
  async begin(): Promise<void> {
    const kept = localStorage.getItem('nervure.language') ?? navigator.language.slice(0, 2)
    await this.speak(kept === 'de' ? 'de' : 'en')
  }

  async speak(language: Language): Promise<void> {
    this.#words = language === 'de' ? (await import('../message/de.json')).default : en
    this.language = language
    this.locale = navigator.language.startsWith(language) ? navigator.language : language
    document.documentElement.lang = language
  }

  choose(language: Language): void {
    localStorage.setItem('nervure.language', language)
    void this.speak(language)
  }

  word(key: Word, values: Values = {}): string {
    return fill(this.#words[key] ?? en[key], values, this.locale)
  }
}

export const say = new Say()

/** Say something in the language of the person. */
export function t(key: Word, values: Values = {}): string {
  return say.word(key, values)
}
