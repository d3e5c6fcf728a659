/** Ubuntu 23.10 and later let only programs with a profile make user namespaces. This gives the right to bwrap alone, not to everybody. */
export const apparmorProfile = `abi <abi/4.0>,
include <tunables/global>

profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
  include if exists <local/bwrap>
}
`;

const apparmor = `AppArmor keeps bwrap from making a user namespace (Ubuntu 23.10 and later). Allow it to bwrap alone: as root, write this to /etc/apparmor.d/bwrap

${apparmorProfile.replaceAll(/^(?=.)/gm, '    ')}
and run \`apparmor_parser -r /etc/apparmor.d/bwrap\`.`;

const container =
  'User namespaces are refused here. In a container they need a wider seccomp profile (docker run --security-opt seccomp=unconfined); on a machine of your own: sysctl user.max_user_namespaces, and kernel.unprivileged_userns_clone=1 on Debian 10 and earlier.';

/** What lies behind an error of bwrap's, with what mends it. */
export function explainRefusal(message: string): string {
  if (/setting up uid map: Permission denied|Failed RTM_NEWADDR/.test(message)) return `${message}\n${apparmor}`;
  if (/creating new namespace failed|No permissions to creat|Creating new namespace/i.test(message))
    return `${message}\n${container}`;
  return message;
}
