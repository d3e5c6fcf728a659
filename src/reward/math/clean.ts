/** Of an answer; longer ones are not answers. */
export const maxAnswerLength = 3000;

const unicode: Readonly<Record<string, string>> = {
  '−': '-',
  '–': '-',
  '—': '-',
  '×': '\\times ',
  '·': '\\cdot ',
  '∙': '\\cdot ',
  '⋅': '\\cdot ',
  '÷': '/',
  '∕': '/',
  '⁄': '/',
  '≤': '\\le ',
  '≥': '\\ge ',
  '≠': '\\ne ',
  '≈': '\\approx ',
  '≡': '\\equiv ',
  '∈': '\\in ',
  '∪': '\\cup ',
  '∩': '\\cap ',
  '∞': '\\infty ',
  '∅': '\\emptyset ',
  '±': '\\pm ',
  '∓': '\\mp ',
  '°': '^\\circ ',
  º: '^\\circ ',
  '√': '\\sqrt ',
  '∛': '\\sqrt[3]',
  π: '\\pi ',
  θ: '\\theta ',
  α: '\\alpha ',
  β: '\\beta ',
  γ: '\\gamma ',
  λ: '\\lambda ',
  μ: '\\mu ',
  φ: '\\phi ',
  ω: '\\omega ',
  ℝ: '\\mathbb{R}',
  ℤ: '\\mathbb{Z}',
  ℕ: '\\mathbb{N}',
  '½': '\\frac12 ',
  '⅓': '\\frac13 ',
  '⅔': '\\frac23 ',
  '¼': '\\frac14 ',
  '¾': '\\frac34 ',
  '⅕': '\\frac15 ',
  '⅛': '\\frac18 ',
  '⅖': '\\frac25 ',
  '⅗': '\\frac35 ',
  '⅘': '\\frac45 ',
  '⅙': '\\frac16 ',
  '⅚': '\\frac56 ',
  '⅜': '\\frac38 ',
  '⅝': '\\frac58 ',
  '⅞': '\\frac78 ',
  '…': '\\ldots ',
  '→': '\\to ',
  '⟨': '\\langle ',
  '⟩': '\\rangle ',
  '⌊': '\\lfloor ',
  '⌋': '\\rfloor ',
  '⌈': '\\lceil ',
  '⌉': '\\rceil ',
  '′': "'",
  '’': "'",
  '“': '"',
  '”': '"',
  '，': ',',
  '；': ';',
  '：': ':',
  '（': '(',
  '）': ')',
  '％': '%',
  '＝': '=',
  '＋': '+',
  '－': '-',
  '‐': '-',
  '‑': '-',
  '＜': '<',
  '＞': '>',
  '［': '[',
  '］': ']',
  '∣': '|',
  '｜': '|',
  '≦': '\\le ',
  '≧': '\\ge ',
  '≃': '\\approx ',
  '∧': '\\land ',
  '∨': '\\lor ',
  '⇒': '\\Rightarrow ',
  '∠': '\\angle ',
  '∖': '\\setminus ',
  σ: '\\sigma ',
  δ: '\\delta ',
  ε: '\\epsilon ',
  ρ: '\\rho ',
  τ: '\\tau ',
  Δ: '\\Delta ',
  Ω: '\\Omega ',
  ℚ: '\\mathbb{Q}',
  ℂ: '\\mathbb{C}',
};

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ';
const subscripts = '₀₁₂₃₄₅₆₇₈₉';
const unicodePattern = new RegExp(`[${Object.keys(unicode).join('')}]`, 'g');
const superscriptPattern = new RegExp(`[${superscripts}]+`, 'g');
const subscriptPattern = new RegExp(`[${subscripts}]+`, 'g');

/** An answer without what only sets its type: math delimiters, sizes, spacing, styles, a sentence's end. */
export function clean(answer: string): string {
  // Escaped once more than it should be, in a program or in JSON; a matrix has such pairs of its own.
  const single = /(?<!\\)\\\\begin/.test(answer)
    ? answer.replace(/\\\\/g, '\\')
    : /\\begin/.test(answer)
      ? answer
      : answer.replace(/\\\\(?=[A-Za-z{}%,!])/g, '\\');
  let text = single
    .replace(unicodePattern, (character) => unicode[character] as string)
    .replace(
      superscriptPattern,
      (run) => `^{${[...run].map((one) => '0123456789-+n'[superscripts.indexOf(one)]).join('')}}`,
    )
    .replace(subscriptPattern, (run) => `_{${[...run].map((one) => '0123456789'[subscripts.indexOf(one)]).join('')}}`)
    .replace(/[\u200b-\u200d\u2060\ufeff]/g, '')
    .replace(/[\u00a0\u2002-\u200a\u202f\u3000\t\r\n]/g, ' ')
    .replace(/\\(?=")/g, '')
    .replace(/(?<=[\d)\]}])(or|and)(?=[A-Z(\d\\-])/g, ' $1 ')
    .replace(/(?<!\d)(\d{0,60})\.(\d{0,12})\\(?:overline|dot|bar)\s*\{(\d{1,12})\}/g, repeating)
    .replace(/(?<!\d)(\d{1,60})\.()\((\d{1,12})\)(?![\d^!])/g, repeating)
    .replace(/\{:\}/g, ':')
    .replace(
      /(?<!\d)(\d{0,60})\.(\d{0,12}?)(?:(\d)\3{2,8}|(\d{2,6})\4{1,8})\s*(?:\.\.\.|\\[lc]?dots(?![a-z])|…)/g,
      repeating,
    )
    .replace(/^(\d+)\s*(?:\\text\s*\{\s*to\s*\}|to)\s*(\d+)$/, '$1:$2')
    .replace(/(\d)\s*(?:\\text\s*\{\s*)?dozen\b\s*\}?/gi, '$1\\cdot 12 ')
    .replace(
      /(\d)\s*(?:\\text\s*\{\s*)?(thousand|million|billion|trillion)\b\}?/gi,
      (_, digit, word) => `${digit}\\cdot 10^{${zeros[word.toLowerCase()]}}`,
    )
    .replace(/(?<![\w)\]}])\*\*|\*\*(?![\w(\\{-])|__(?=\S)|`/g, ' ')
    .replace(/\\[[\]()]/g, ' ')
    .replace(/\\\$|(?<!\\)\$|[€£¥₹]|\\(?:euro|pounds|yen)\b/g, ' ')
    .replace(/^\s*\\text\s*\{((?![^{}]*\p{L}{3})[^{}]*[\d+=*/^<>][^{}]*)\}\s*$/u, '$1')
    .replace(/^\s*\\text\s*\{[^{}]*(?::|\bis|=)\s*\}/, '')
    // Behind what it says, for which values it says so.
    .replace(
      /(?<=\S)(?:\\q?quad|\\[ ,;]|[\s,]){0,6}\\text\s*\{\s*for (?:all|every|any|each)\s*(?:(?:positive|non-?negative|real|natural)\s+)?(?:integers?|reals?|numbers?|values?|)\s*\}.*$/s,
      '',
    )
    .replace(/\\mathbb\s*\{?R\}?\s*(?:\^\s*\{?\+\}?|_\s*\{\s*>\s*0\s*\})/g, '(0,\\infty)')
    .replace(/\\sqrt([A-Za-z])(?![A-Za-z])/g, '\\sqrt{$1}')
    // A digit above nine.
    .replace(/(?<=\d)\s*\\(?:text|mathrm)\s*\{([A-Z])\}(?=[\dA-Z]*\s*_)/g, '$1')
    .replace(/\\operatorname\*?\s*\{\s*([A-Za-z]+)\s*\}/g, '\\$1 ')
    .replace(/\\(?:mathbf|boldsymbol|bm|bold|boxed|fbox)\s*\{(\s*[\d.,\s]+)\}/g, ' $1 ')
    .replace(
      /\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|bf|rm|it|boldsymbol|mathbf|bold|mathit|mathcal|vec|overrightarrow|overline|bar|hat|widehat|underline|mathsf|ensuremath|boxed|fbox|bm)(?![A-Za-z])/g,
      ' ',
    )
    .replace(/\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\s*\.?(?=\s|[()[\]|/\\{}<>])/g, ' ')
    .replace(/\\[dtc]frac(?![A-Za-z])/g, '\\frac')
    .replace(/\\[dt]binom(?![A-Za-z])/g, '\\binom')
    .replace(
      /\\(?:q?quad|(?:neg)?(?:thin|med|thick)space|enspace|enskip|hfil|noindent|allowbreak)(?![A-Za-z])|\\(?:hspace|vspace|hfill|phantom|label|tag)\*?\s*\{[^{}]*\}/g,
      ' ',
    )
    .replace(/(\d)\s*\{\s*,\s*\}\s*(\d)/g, '$1\\,$2')
    .replace(/(\d),\s*\\!\s*(\d)/g, '$1\\,$2')
    .replace(/(?<!\\)\\[!:;> ]|~/g, ' ')
    .replace(/&nbsp;|\\#/g, ' ')
    .replace(/\\(?:lt|less)(?![A-Za-z])/g, '<')
    .replace(/\\(?:gt|greater)(?![A-Za-z])/g, '>')
    .trim();
  text = text
    .replace(/\s+/g, ' ')
    .replace(/^\s*(?:[:;,=]|\\approx(?![a-z]))\s*/, '')
    .replace(/[\\\s]+$/, '');
  // A sentence's end; an ellipsis says that something is left out.
  while (/[.,;:!]$/.test(text) && !/\.\.$|\d!$|[)\]}a-z]!$/.test(text)) text = text.slice(0, -1).trimEnd();
  return stripQuotes(balanced(text));
}

/** Without braces at the end that close nothing. */
function balanced(text: string): string {
  if (!text.endsWith('}')) return text;
  const depth = [...text.replace(/\\[{}]/g, '')].reduce(
    (sum, one) => sum + (one === '{' ? 1 : one === '}' ? -1 : 0),
    0,
  );
  return depth < 0 ? text.replace(new RegExp(`\\}{1,${-depth}}$`), '').trimEnd() : text;
}

const zeros: Readonly<Record<string, number>> = {thousand: 3, million: 6, billion: 9, trillion: 12};

/** A repeating decimal as a fraction: its digits less the ones before the bar, over as many nines. */
function repeating(_: string, whole: string, before: string, ...periods: (string | undefined)[]): string {
  const period = periods.find((one) => one !== undefined) as string;
  const above = BigInt(`${whole}${before}${period}`) - BigInt(`${whole}${before}` || '0');
  return `\\frac{${above}}{${'9'.repeat(period.length)}${'0'.repeat(before.length)}}`;
}

function stripQuotes(text: string): string {
  const inner = /^["']([^"']*)["']$/.exec(text)?.[1];
  return (inner ?? text).trim();
}
