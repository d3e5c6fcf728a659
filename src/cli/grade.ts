import type {Command} from 'commander';
import {registerCode} from './grade-code.js';
import {registerMath} from './grade-math.js';

export function register(program: Command): void {
  const grade = program.command('grade').description('grade answers: JSON lines in, JSON lines out');
  registerMath(grade);
  registerCode(grade);
}
