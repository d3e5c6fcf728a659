/** Passes text on as it comes, but keeps back what may turn out to be a stop string. */
export class HeldText {
  private text = '';
  private given = 0;
  private readonly longest: number;

  constructor(
    private readonly onText: (text: string) => void,
    private readonly stopStrings: readonly string[],
  ) {
    this.longest = Math.max(0, ...stopStrings.map((string) => string.length - 1));
  }

  push(text: string): void {
    this.text += text;
    const from = Math.max(0, this.given - this.longest);
    if (this.stopStrings.some((string) => this.text.includes(string, from))) return;
    this.give(this.text.length - this.longest);
  }

  /** @param whole - All of the text; what was pushed, when left out. */
  end(whole: string = this.text): void {
    this.text = whole;
    this.give(whole.length);
  }

  private give(end: number): void {
    if (end <= this.given) return;
    this.onText(this.text.slice(this.given, end));
    this.given = end;
  }
}
