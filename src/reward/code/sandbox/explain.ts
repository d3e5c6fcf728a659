/** Ubuntu 23.10 and later let only programs with a profile make user namespaces. This gives the right to bwrap alone, not to everybody. */
export const apparmorProfile = `abi <abi/4.0>,
include <tunables/global>

profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
  include if exists <local/bwrap>
}
`;

const apparmor = `AppArmor keeps bwrap from making a user namespace (Ubuntu 23.10 and later). To allow it to bwrap alone, write this to /etc/apparmor.d/bwrap:

${apparmorProfile}
and run: sudo apparmor_parser -r /etc/apparmor.d/bwrap`;

const container = `Making namespaces is refused here. In a container: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined (the sandbox has
filters of its own). Elsewhere: sysctl user.max_user_namespaces, which should not be 0, and kernel.unprivileged_userns_clone on Debian 10 and earlier, which should be 1.`;

/** What lies behind an error of bwrap's, with what mends it. */
export function explainRefusal(message: string): string {
  if (/setting up uid map: Permission denied|Failed RTM_NEWADDR/.test(message)) return `${message}\n${apparmor}`;
  if (/creat(?:e|ing) new namespace/i.test(message)) return `${message}\n${container}`;
  return message;
}
