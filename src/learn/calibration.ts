import {IlrError} from '../errors.js';
import {mean, sum} from '../statistics.js';
import type {Group} from '../types.js';
import {type TrainableGroup, trainableRollouts} from './batch.js';

/** A peer's rewards on the same question and stage. */
export interface PeerStatistics {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

/** Below this, rewards have no spread: a peer's term is 0, and so are a group's advantages. */
export const minSpread = 1e-6;

function statisticsOf(rewards: readonly number[]): PeerStatistics {
  return {mean: mean(rewards), min: Math.min(...rewards), max: Math.max(...rewards)};
}

export interface Calibrated {
  /** [G] */
  readonly rewards: readonly number[];
  /** Terms that the clip changed, of the G·(peers with spread) terms there are. */
  readonly clippedTerms: number;
  readonly terms: number;
  /** Peers without spread, of all peers. */
  readonly zeroRangePeers: number;
  readonly peers: number;
}

/**
Perception Calibration of one agent's group by its peers' rewards.

@param rewards - [G] this agent's rewards, finite.
@param peers - [≤ N−1] mean, min and max of each peer's rewards on the same question and stage; a peer whose dialogue was skipped is missing.
@param numAgents - N.
@returns [G] calibrated rewards; equal to `rewards` when every peer's range is below 1e-6.
@throws IlrError `ILR_INVALID_ARGUMENT` when `rewards` is empty or holds a value that is not finite.

ILR, arXiv 2509.26306: R + Σ_l clip((R − avg_l) / (max_l − min_l), ±1/(N−1)).
Departure: a peer without spread adds nothing (the paper leaves it open).
*/
export function calibrate(rewards: readonly number[], peers: readonly PeerStatistics[], numAgents: number): Calibrated {
  if (rewards.length === 0 || !rewards.every(Number.isFinite)) {
    throw new IlrError('ILR_INVALID_ARGUMENT', `Expected at least one finite reward, got [${rewards.join(', ')}].`);
  }
  const bound = 1 / (numAgents - 1);
  const spread = peers.filter((peer) => peer.max - peer.min >= minSpread);
  let clippedTerms = 0;
  const calibrated = rewards.map((reward) => {
    let sum = reward;
    for (const peer of spread) {
      const term = (reward - peer.mean) / (peer.max - peer.min);
      if (Math.abs(term) > bound) clippedTerms++;
      sum += Math.min(bound, Math.max(-bound, term));
    }
    return sum;
  });
  return {
    rewards: calibrated,
    clippedTerms,
    terms: rewards.length * spread.length,
    zeroRangePeers: peers.length - spread.length,
    peers: peers.length,
  };
}

/** How a group's advantages are scaled (`advantage` of the configuration). */
export interface Scaling {
  /** `batch` is taken for `none`: what the other groups bring is not known here. */
  readonly scale: 'group' | 'batch' | 'none';
  readonly std?: 'population' | 'sample';
  readonly epsilon?: number;
}

/**
Advantages as the core computes them (`native/core`), for the metrics alone: (R − mean) / (std + epsilon), 0 without spread.
*/
export function groupAdvantages(rewards: readonly number[], scaling: Scaling = {scale: 'group'}): number[] {
  const {mean: average, min, max} = statisticsOf(rewards);
  if (max - min < minSpread) return rewards.map(() => 0);
  const centred = rewards.map((reward) => reward - average);
  if (scaling.scale !== 'group') return centred;
  const {std = 'population', epsilon = 1e-6} = scaling;
  const squares = centred.map((each) => each ** 2);
  const deviation = Math.sqrt(sum(squares) / (squares.length - (std === 'sample' ? 1 : 0)));
  return centred.map((each) => each / (deviation + epsilon));
}

/** Whether calibration changed a group's advantages by more than the epsilon beside the std can. */
export function areAdvantagesChanged(
  rewards: readonly number[],
  calibrated: readonly number[],
  scaling: Scaling = {scale: 'group'},
): boolean {
  const before = groupAdvantages(rewards, scaling);
  return groupAdvantages(calibrated, scaling).some(
    (advantage, k) => Math.abs(advantage - (before[k] as number)) > 1e-4,
  );
}

/** One agent's calibrated groups of a stage, with what calibration did. */
export interface StageCalibration {
  readonly groups: readonly TrainableGroup[];
  readonly changedGroups: number;
  readonly clippedTerms: number;
  readonly terms: number;
  readonly zeroRangePeers: number;
  readonly peers: number;
}

/**
Calibrates a stage of a step. Rollouts that failed are in no statistic, and groups with fewer than two graded rollouts are left out.

@param groups - [N][Q], all agents on the same questions where `mode` is `faithful`; undefined where a dialogue was skipped.
@returns [N].
*/
export function calibrateStage(
  groups: readonly (readonly (Group | undefined)[])[],
  mode: 'faithful' | 'none',
  scaling: Scaling = {scale: 'group'},
): StageCalibration[] {
  const rollouts = groups.map((row) => row.map((group) => (group === undefined ? [] : trainableRollouts(group))));
  const rewards = rollouts.map((row) => row.map((group) => group.map((rollout) => rollout.reward)));
  return groups.map((row, agent) => {
    const trainable: TrainableGroup[] = [];
    const total = {changedGroups: 0, clippedTerms: 0, terms: 0, zeroRangePeers: 0, peers: 0};
    row.forEach((group, q) => {
      const own = rewards[agent]?.[q] as number[];
      if (group === undefined || own.length === 0) return;
      const peers = mode === 'none' ? [] : rewards.filter((_, l) => l !== agent).map((peer) => peer[q] as number[]);
      const graded = peers.filter((peer) => peer.length > 0).map(statisticsOf);
      const calibrated = calibrate(own, graded, groups.length);
      total.changedGroups += areAdvantagesChanged(own, calibrated.rewards, scaling) ? 1 : 0;
      total.clippedTerms += calibrated.clippedTerms;
      total.terms += calibrated.terms;
      total.zeroRangePeers += calibrated.zeroRangePeers;
      total.peers += calibrated.peers;
      trainable.push({group, rollouts: rollouts[agent]?.[q] ?? [], rewards: calibrated.rewards});
    });
    return {groups: trainable, ...total};
  });
}
