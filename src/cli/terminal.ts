/** Where commands write: a terminal that can redraw, or a plain stream of lines. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const esc = String.fromCharCode(0x1b);
const bell = String.fromCharCode(0x07);
// Whole escape sequences, so that no `[31m` stays behind: strings up to their end (OSC, DCS, SOS, PM, APC), CSI, the rest.
const sequences = new RegExp(
  `${esc}[\\]PX^_][^${esc}${bell}]*(?:${bell}|${esc}\\\\)|${esc}\\[[0-?]*[ -/]*[@-~]|${esc}[ -/]*[0-~]`,
  'g',
);
// Controls (C0, DEL, C1), what turns the direction of writing or is not seen, line separators, halves of characters.
// A line break and a tab are text; the two joiners are spelling in several scripts.
const invisible = /(?!\n|\t|\u200c|\u200d)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** Text of a model, a file or a user as it may be shown on a terminal: nothing in it moves the cursor, colours, hides or reorders. */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(sequences, '').replaceAll(invisible, '');
}

/** Writes text that may come from anywhere. All commands write by this, by `Screen`, or JSON by `jsonText`. */
export function print(output: Output, text: string): void {
  output.write(printable(text));
}

/** JSON whose characters can all be seen: the value that is read back is the same. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replaceAll(invisible, escapeUnits);
}

function escapeUnits(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** Keeps a few lines at the foot of a terminal up to date, at most ten times a second; without a terminal it shows none. */
export class Screen {
  private readonly output: Output;
  private readonly now: () => number;
  private shown = 0;
  private drawnAt = Number.NEGATIVE_INFINITY;

  constructor(output: Output, now: () => number = Date.now) {
    this.output = output;
    this.now = now;
  }

  get isLive(): boolean {
    return this.output.isTTY === true;
  }

  /** A line that stays. */
  line(text: string): void {
    this.clear();
    print(this.output, `${text}\n`);
  }

  /** Replaces the lines at the foot, or leaves them when they were drawn a moment ago. */
  draw(lines: readonly string[]): void {
    if (!this.isLive || this.now() - this.drawnAt < 100) return;
    this.clear();
    const width = (this.output.columns || 80) - 1;
    this.output.write(lines.map((line) => `${[...oneLine(line)].slice(0, width).join('')}\n`).join(''));
    this.shown = lines.length;
    this.drawnAt = this.now();
  }

  /** Takes the lines at the foot away. */
  clear(): void {
    // From the first column: a terminal echoes ^C at the cursor.
    if (this.shown > 0) this.output.write(`\r${esc}[${this.shown}A${esc}[0J`);
    this.shown = 0;
    this.drawnAt = Number.NEGATIVE_INFINITY;
  }
}

/** A line at the foot is one line, or it could not be taken away again. */
function oneLine(text: string): string {
  return printable(text).replaceAll(/[\n\t]/g, ' ');
}
