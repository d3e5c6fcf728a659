import {multiply, type Node, negate, numberOf, reciprocal} from './ast.js';
import {Cursor, NotMathematics} from './cursor.js';
import {derivativeOf, inTime, operatorOf} from './derivative.js';
import {bigOperators, functionLetters, functions} from './functions.js';
import {numberToken} from './literal.js';
import {determinant} from './matrix.js';
import {builderOf, casesOf, plainList} from './shapes.js';
import type {Token} from './tokens.js';

/** Reads what operators stand between: numbers, names, functions, brackets, sets, matrices, and the units behind them. */
export abstract class Atoms extends Cursor {
  /** How many bars of absolute values are open. */
  protected bars = 0;
  /** Inside the argument of a trigonometric function, where a degree is not just a unit. */
  protected isAngle = false;
  /** Directly inside the braces of a set, where a colon says "such that". */
  protected isSuchThat = false;
  /** Inside `]a, b[`, where a bracket that opens closes. */
  protected isTurned = false;

  protected abstract alternatives(): Node;
  protected abstract commaList(): Node;
  protected abstract relation(): Node;
  protected abstract sum(): Node;
  protected abstract term(): Node;
  protected abstract factor(): Node;
  protected abstract startsFactor(): boolean;

  /** What stands above or below: a group, or one sign. */
  protected script(): Node {
    if (this.take('-')) return negate(this.script());
    if (this.isMark('{')) return this.group();
    const token = this.peek();
    if (
      token.kind === 'number' &&
      token.text.length > 1 &&
      !token.text.includes('.') &&
      this.tokens[this.at - 1]?.text === '^'
    ) {
      // LaTeX raises one digit; plain text all of them. An answer means all of them.
      this.next();
      return numberToken(token.text);
    }
    return this.primary();
  }

  /** A subscript as text. */
  protected label(): string {
    if (!this.take('{')) return this.next().text;
    let text = '';
    let depth = 1;
    for (;;) {
      const token = this.next();
      if (token.kind === 'end') throw new NotMathematics('an open brace');
      if (token.kind === 'mark' && token.text === '{') depth++;
      if (token.kind === 'mark' && token.text === '}' && --depth === 0) return text;
      text += token.text;
    }
  }

  protected primary(): Node {
    const token = this.next();
    if (token.kind === 'number') return numberToken(token.text);
    if (token.kind === 'letter') return this.application({kind: 'symbol', name: token.text});
    if (token.kind === 'command') return this.command(token.text);
    if (token.kind === 'environment' && token.text.startsWith('begin ')) return this.matrix(token.text.slice(6));
    if (token.kind === 'mark') return this.bracket(token.text);
    throw new NotMathematics(`unexpected ${token.text}`);
  }

  /** `f(x)` of a name that is a function's. */
  protected application(symbol: {readonly kind: 'symbol'; readonly name: string}): Node {
    const letter = symbol.name.split('_')[0] as string;
    // `f{\\left(x \\right)}`, as SymPy writes it.
    const isBraced = this.isMark('{') && this.isMark('(', 1) && functionLetters.has(letter);
    if (isBraced) this.next();
    if (!this.isMark('(')) return symbol;
    // `I(0)` is no product, and `N(t)` hardly one.
    const [inside, end] = [this.peek(1), this.peek(2)];
    const isOne = end.text === ')' && (inside.kind === 'letter' || inside.kind === 'number');
    const isApplied = isOne && !end.isApart && (inside.text === '0' || /^[A-Z]/.test(letter));
    if (!functionLetters.has(letter) && !isApplied) return symbol;
    this.next();
    const args = this.alternatives();
    this.expect(')');
    if (isBraced) this.expect('}');
    return {kind: 'opaque', name: symbol.name, args: [args]};
  }

  private command(name: string): Node {
    if (name === 'frac') {
      const [above, below] = [this.argument(), this.argument()];
      const operator = operatorOf(above, below);
      if (operator && this.startsFactor()) return operator(this.term());
      return derivativeOf(above, below) ?? multiply(above, reciprocal(below));
    }
    if (name === 'binom') return {kind: 'call', name: 'binom', args: [this.argument(), this.argument()]};
    if (name === 'dot' || name === 'ddot') return inTime(this.argument(), name === 'dot' ? 1 : 2);
    if (name === 'sqrt') return this.root();
    if (name === 'pi') return {kind: 'symbol', name: 'π'};
    if (name === 'infty') return {kind: 'infinity'};
    if (name === 'emptyset' || name === 'varnothing') return {kind: 'set', items: []};
    if (name === 'mathbb') return {kind: 'symbol', name: `mathbb ${this.label()}`};
    if (name === 'angle' || name === 'measuredangle' || name === 'triangle')
      return {kind: 'opaque', name, args: [this.factor()]};
    if (bigOperators.has(name)) return this.bigOperator(name);
    const known = functions[name];
    if (known !== undefined) return this.call(known);
    return this.application({kind: 'symbol', name});
  }

  /** Of `\frac`: a group, or one digit or letter. */
  private argument(): Node {
    if (this.isMark('{')) return this.group();
    const token = this.peek();
    if (token.kind === 'number' && token.text.length > 1 && /^\d+$/.test(token.text)) {
      const [first, ...rest] = token.text;
      (this.tokens as Token[])[this.at] = {...token, text: rest.join(''), isApart: false};
      return numberToken(first as string);
    }
    return this.primary();
  }

  private root(): Node {
    let degree: Node = numberOf(2);
    if (this.isMark('[')) {
      this.next();
      degree = this.sum();
      this.expect(']');
    }
    // `\\sqrt 19` means all of 19.
    const radicand = this.isMark('{') ? this.group() : this.primary();
    return {kind: 'power', base: radicand, exponent: reciprocal(degree)};
  }

  private call(name: string): Node {
    let power: Node | undefined;
    let base: Node | undefined;
    for (;;) {
      if (this.isMark('^') && power === undefined) {
        this.next();
        power = this.script();
      } else if (this.isMark('_') && base === undefined) {
        this.next();
        base = this.isMark('{') ? this.group() : this.argument();
      } else break;
    }
    const isOuterAngle = this.isAngle;
    this.isAngle = ['sin', 'cos', 'tan', 'cot', 'sec', 'csc'].includes(name);
    const args = this.functionArguments();
    this.isAngle = isOuterAngle;
    const inverse =
      power?.kind === 'number' &&
      power.value.n === -1n &&
      power.value.d === 1n &&
      ['sin', 'cos', 'tan', 'cot'].includes(name);
    let node: Node;
    if (inverse) node = {kind: 'call', name: `arc${name}`, args};
    else if (name === 'log' && base !== undefined) node = {kind: 'call', name: 'logbase', args: [base, ...args]};
    else if (base !== undefined) node = {kind: 'opaque', name, args: [base, ...args]};
    else node = {kind: 'call', name, args};
    return power === undefined || inverse ? node : {kind: 'power', base: node, exponent: power};
  }

  private functionArguments(): Node[] {
    if (this.isMark('(') || this.isMark('[')) {
      const close = this.next().text === '(' ? ')' : ']';
      const list = this.commaList();
      this.expect(close);
      return list.kind === 'list' ? [...list.items] : [list];
    }
    if (this.isMark('{')) return [this.group()];
    let node = this.take('-') ? negate(this.factor()) : this.factor();
    while (this.startsFactor() && !this.isFunction()) {
      this.budget.spend();
      node = multiply(node, this.factor());
    }
    if (this.isMark('/') && this.peek(1).kind === 'number') {
      this.next();
      node = multiply(node, reciprocal(this.factor()));
    }
    return [node];
  }

  private isFunction(): boolean {
    const token = this.peek();
    return token.kind === 'command' && (functions[token.text] !== undefined || bigOperators.has(token.text));
  }

  private bigOperator(name: string): Node {
    let below: Node | undefined;
    let above: Node | undefined;
    for (;;) {
      if (below === undefined && this.take('_')) {
        if (this.take('{')) {
          below = this.alternatives();
          this.expect('}');
        } else below = this.primary();
      } else if (above === undefined && this.take('^')) above = this.script();
      else break;
    }
    const args = [below, above].filter((bound) => bound !== undefined);
    return {kind: 'opaque', name: above ? `${name}^` : name, args: [...args, this.term()]};
  }

  protected group(): Node {
    this.expect('{');
    return this.nested(() => {
      if (this.take('}')) throw new NotMathematics('an empty group');
      const node = this.alternatives();
      this.skipUnits();
      const infix = this.peek();
      if (infix.kind === 'command' && (infix.text === 'choose' || infix.text === 'over')) {
        this.next();
        const below = this.alternatives();
        this.expect('}');
        return infix.text === 'over'
          ? multiply(node, reciprocal(below))
          : {kind: 'call', name: 'binom', args: [node, below]};
      }
      this.expect('}');
      return node;
    });
  }

  private bracket(mark: string): Node {
    if (mark === '(' || mark === '[' || mark === ']') return this.tuple(mark);
    if (mark === '{') {
      this.at--;
      return this.group();
    }
    if (mark === '⦃') return this.set();
    if (mark === '|' || mark === '‖') return this.absolute(mark);
    if (mark === '⌊' || mark === '⌈') {
      const node = this.alternatives();
      this.expect(mark === '⌊' ? '⌋' : '⌉');
      return {kind: 'call', name: mark === '⌊' ? 'floor' : 'ceil', args: [node]};
    }
    if (mark === '⟨') {
      const node = this.alternatives();
      this.expect('⟩');
      return {kind: 'tuple', open: '(', close: ')', items: node.kind === 'list' ? node.items : [node]};
    }
    if (mark === '…') return {kind: 'symbol', name: '…'};
    throw new NotMathematics(`unexpected ${mark}`);
  }

  private tuple(open: string): Node {
    return this.nested(() => {
      if (this.isMark(')') || this.isMark(']')) throw new NotMathematics('empty brackets');
      const outer = [this.bars, this.isSuchThat, this.isTurned] as const;
      [this.bars, this.isSuchThat, this.isTurned] = [0, false, open === ']'];
      const node = this.alternatives();
      this.skipUnits();
      [this.bars, this.isSuchThat, this.isTurned] = outer;
      const close = this.next();
      if (close.kind !== 'mark' || ![')', ']', '['].includes(close.text))
        throw new NotMathematics(`expected a closing bracket, got ${close.text}`);
      if (node.kind !== 'list') {
        // Around one thing, brackets of either kind only group; a relation stays one.
        if ((open === '(') === (close.text === ')')) return node;
        throw new NotMathematics('brackets that do not match');
      }
      return {
        kind: 'tuple',
        open: open === '[' ? '[' : '(',
        close: close.text === ']' ? ']' : ')',
        items: node.items.map(plainList),
      };
    });
  }

  private set(): Node {
    return this.nested(() => {
      if (this.take('⦄')) return {kind: 'set', items: []};
      const outer = [this.bars, this.isSuchThat, this.isTurned] as const;
      [this.bars, this.isSuchThat, this.isTurned] = [1, true, false];
      const node = this.alternatives();
      this.skipUnits();
      [this.bars, this.isSuchThat, this.isTurned] = outer;
      if (this.take('|') || this.take(':')) {
        const condition = this.alternatives();
        this.skipUnits();
        this.expect('⦄');
        return builderOf(node, condition);
      }
      this.expect('⦄');
      return {kind: 'set', items: node.kind === 'list' ? node.items : [node]};
    });
  }

  private absolute(mark: string): Node {
    return this.nested(() => {
      this.bars++;
      const node = this.sum();
      this.bars--;
      this.expect(mark);
      return {kind: 'call', name: 'abs', args: [node]};
    });
  }

  private matrix(name: string): Node {
    if (name.startsWith('align') || name === 'gathered' || name === 'equation') throw new NotMathematics(name);
    const rows: Node[][] = [[]];
    for (;;) {
      this.budget.spend();
      const token = this.peek();
      if (token.kind === 'environment') {
        if (token.text !== `end ${name}`) throw new NotMathematics('matrices that do not match');
        this.next();
        break;
      }
      if (this.take('\\\\')) rows.push([]);
      else if (!this.take('&')) {
        if (token.kind === 'command' && token.text === 'hline') this.next();
        else rows.at(-1)?.push(name === 'cases' ? this.caseCell() : this.commaList());
      }
    }
    const filled = rows.filter((row) => row.length > 0);
    if (name === 'cases') return casesOf(filled);
    const width = filled[0]?.length ?? 0;
    if (width === 0 || filled.some((row) => row.length !== width)) throw new NotMathematics('a ragged matrix');
    const matrix: Node = {kind: 'matrix', rows: filled};
    return name === 'vmatrix' ? determinant(filled) : matrix;
  }

  /** A value, or a condition behind "if" and "for". */
  private caseCell(): Node {
    let words = '';
    while (this.peek().kind === 'word' || (words === '' && this.take(','))) {
      if (this.peek().kind === 'word') words += `${this.next().text} `;
    }
    const isOver = this.isMark('\\\\') || this.isMark('&') || this.peek().kind === 'environment';
    if (words !== '' && isOver) return {kind: 'words', text: words.trim().toLowerCase()};
    const node = this.relation();
    this.skipUnits();
    this.take(',');
    return node;
  }

  /** Words behind a quantity are its unit, with their exponents. */
  protected skipUnits(): void {
    const start = this.at;
    let found = false;
    for (;;) {
      const token = this.peek();
      if (token.kind === 'word') {
        found = true;
        this.next();
        if (this.take('^')) this.script();
      } else if (found && (this.isMark('/') || this.isMark('*')) && this.peek(1).kind === 'word') this.next();
      else if (!found && this.isMark('/') && this.peek(1).kind === 'word') this.next();
      else if (found && token.kind === 'mark' && token.text === '(' && this.peek(1).kind === 'word') this.skipTo(')');
      else if (!found && token.kind === 'mark' && token.text === '(' && this.peek(1).kind === 'word' && start > 0) {
        found = true;
        this.skipTo(')');
      } else break;
    }
  }

  private skipTo(mark: string): void {
    while (this.peek().kind !== 'end' && !this.take(mark)) this.next();
  }
}
