import {IlrError} from '../errors.js';

export interface Platform {
  readonly platform: string;
  readonly arch: string;
  /** Undefined where the C library is another one (musl). */
  readonly glibc: string | undefined;
}

interface ReportHeader {
  readonly header: {readonly glibcVersionRuntime?: string};
}

export function currentPlatform(): Platform {
  const glibc =
    process.platform === 'linux'
      ? (process.report.getReport() as unknown as ReportHeader).header.glibcVersionRuntime
      : undefined;
  return {platform: process.platform, arch: process.arch, glibc};
}

/** Linux x86-64 with glibc 2.28 or later (LibTorch's own floor); anything else is refused by name until it is tested. */
export function assertPlatform({platform, arch, glibc}: Platform = currentPlatform()): void {
  const hint = 'Try it on Linux x86-64, in a container for instance.';
  if (platform !== 'linux' || arch !== 'x64') {
    throw new IlrError(
      'ILR_UNSUPPORTED',
      `ilr-native runs on Linux x86-64 (linux x64), but this is ${platform} ${arch}. ${hint}`,
    );
  }
  if (glibc === undefined) {
    throw new IlrError(
      'ILR_UNSUPPORTED',
      `ilr-native needs glibc 2.28 or later, but this Linux has another C library (musl, as in Alpine). ${hint}`,
    );
  }
  const [major = 0, minor = 0] = glibc.split('.').map(Number);
  if (major < 2 || (major === 2 && minor < 28)) {
    throw new IlrError('ILR_UNSUPPORTED', `ilr-native needs glibc 2.28 or later, but this Linux has ${glibc}. ${hint}`);
  }
}
