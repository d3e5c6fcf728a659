import {Budget} from './budget.js';
import {clean} from './clean.js';
import {behindThinking, type Extracted, type Extractor, extractAnswer} from './extract.js';
import {parse} from './parse.js';
import {isName} from './tokens.js';

/** The whole text where it is short and all mathematics, else what it says its answer is. */
export function answerOf(answer: string, extract: readonly Extractor[] | undefined): Extracted | undefined {
  const trimmed = (answer.length <= 400 ? answer.replace(/<<[^<>\n]{0,100}>>/g, '') : answer).trim();
  const isBare =
    trimmed.length <= 300 &&
    !/\\(?:boxed|fbox)|####|answer|\$[^$]*[A-Za-z]{2,}\s[^$]*\$.*\$/i.test(trimmed) &&
    extract === undefined;
  // Without a word, nothing in it is prose about the answer.
  const isWordless = trimmed.length <= 40 && !/\n|\$|\p{L}/u.test(trimmed.replace(/\\[A-Za-z]+/g, ''));
  if (isBare && (isWordless || isAllMathematics(trimmed))) return {text: trimmed, by: 'whole'};
  const found = extractAnswer(answer, extract);
  if (found) return found;
  const said = behindThinking(trimmed).trim();
  return extract === undefined && said !== '' && said.length <= 100 ? {text: said, by: 'whole'} : undefined;
}

/** A number and its unit in words. */
const quantity =
  /^\\?\$?[-+−]?[\d.,/]+\s+(?:[A-Za-z]{2,}(?:\s+(?:per\s+)?[A-Za-z]{2,})?|[A-Za-z]+(?:\^[23])?\/[A-Za-z]+)(?:\^\{?[23]\}?)?\.?$/;

function isAllMathematics(text: string): boolean {
  if (quantity.test(text)) return true;
  // A formula in a sentence is for the extractors.
  const outside = text
    .replace(/(?<=[\d)\]}])(?:or|and)(?=[A-Z(\d\\-])/g, ' and ')
    .replace(/\$\$?[^$]+\$\$?|\\\[[\s\S]*\\\]|\\\(.*\\\)/g, ' ');
  if (
    (outside.replace(/\\[A-Za-z]+(?:\{[A-Za-z ]*\})?/g, ' ').match(/\p{L}{3,}/gu) ?? []).some(
      (word) =>
        !isName(word) &&
        !/^(?:and|percent|pct|percentage|cents?|dollars?|degrees?|radians?|thousand|million|billion|trillion)$/i.test(
          word,
        ),
    )
  )
    return false;
  if (/\$\s*\n|\\\(\s*\n/.test(text) && !/\$\$/.test(text)) return false;
  try {
    parse(clean(text), new Budget(5000));
    return true;
  } catch {
    return false;
  }
}
