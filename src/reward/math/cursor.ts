import type {Budget} from './budget.js';
import type {Token} from './tokens.js';

/** Thrown where a text is not mathematics that we read; it is then compared as words. */
export class NotMathematics extends Error {}

const maxDepth = 60;

/** A place in a list of tokens. */
export class Cursor {
  protected at = 0;
  private depth = 0;

  constructor(
    protected readonly tokens: readonly Token[],
    protected readonly budget: Budget,
  ) {}

  protected peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token;
  }

  protected next(): Token {
    this.budget.spend();
    const token = this.peek();
    if (this.at < this.tokens.length - 1) this.at++;
    return token;
  }

  protected isMark(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'mark' && token.text === text;
  }

  protected take(text: string): boolean {
    if (!this.isMark(text)) return false;
    this.next();
    return true;
  }

  protected expect(text: string): void {
    if (!this.take(text)) throw new NotMathematics(`expected ${text}, got ${this.peek().text}`);
  }

  protected nested<T>(work: () => T): T {
    if (++this.depth > maxDepth) throw new NotMathematics('nested too deeply');
    try {
      return work();
    } finally {
      this.depth--;
    }
  }
}
