import type {Row} from './row.js';

/** The options of a multiple-choice question, under letters of ours: sets name theirs A, 1 or not at all. */
export interface Choices {
  readonly texts: readonly string[];
  /** The set's own names of the options, where it has some. */
  readonly labels?: readonly string[];
}

/** Options as a list of texts, or as lists `text` and `label` (ARC); undefined where the field holds neither. */
export function toChoices(value: unknown): Choices | undefined {
  const texts = toTexts(value);
  if (texts !== undefined) return isCount(texts.length) ? {texts} : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  const {text, label} = value as {text?: unknown; label?: unknown};
  const [own, labels] = [toTexts(text), toTexts(label)];
  if (own === undefined || labels?.length !== own.length || !isCount(own.length)) return undefined;
  return {texts: own, labels};
}

export function choicesOf(row: Row, path: string): Choices {
  const value = row.get(path);
  return (
    toChoices(value) ??
    row.fail(
      `2 to 26 options in the field ${JSON.stringify(path)}, a list of texts or lists \`text\` and \`label\``,
      row.describe(value),
    )
  );
}

/** `A. …` a line. */
export function renderChoices({texts}: Choices): string {
  return texts.map((text, i) => `${letterOf(i)}. ${text.trim()}`).join('\n');
}

/** The letter of the right option, which a set names by its label, by its place from 0, or by the letter. */
export function letterOfAnswer(row: Row, {texts, labels}: Choices, value: unknown): string {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  const place = labels?.includes(text)
    ? labels.indexOf(text)
    : /^\d+$/.test(text)
      ? Number(text)
      : /^\(?[A-Z]\)?$/i.test(text)
        ? text.replace(/[()]/g, '').toUpperCase().charCodeAt(0) - 65
        : -1;
  if (place >= 0 && place < texts.length) return letterOf(place);
  return row.fail(
    `one of ${texts.length} options as the answer, by label, place from 0 or letter`,
    row.describe(value),
  );
}

export function letterOf(place: number): string {
  return String.fromCharCode(65 + place);
}

function isCount(length: number): boolean {
  return length >= 2 && length <= 26;
}

function toTexts(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.every((item) => typeof item === 'string' || typeof item === 'number') ? value.map(String) : undefined;
}
