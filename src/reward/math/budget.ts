/** Thrown where an answer asks for more work than any honest one needs. */
export class TooComplex extends Error {}

/** Steps left for one comparison. Every loop of the grader pays, so that no input, hostile or not, runs long. */
export class Budget {
  constructor(private steps: number) {}

  spend(steps = 1): void {
    this.steps -= steps;
    if (!(this.steps >= 0)) throw new TooComplex('the answer asks for too much work');
  }
}
