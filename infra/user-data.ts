/** What cloud-init does at a machine's first boot, and nothing else: a name, and the key of its SSH server. */

export interface UserDataArgs {
  readonly hostname: string;
  /** ED25519 host key in OpenSSH's form. The whole text is as secret as this. */
  readonly privateKey: string;
  readonly publicKey: string;
}

/**
 * Renders the user data. The planted key is the machine's only one, so that an SSH client verifies the machine from its
 * first connection. Debian's images write /etc/hosts anew at every boot unless told not to; the bootstrap keeps names there.
 * https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh
 */
export const renderUserData = ({ hostname, privateKey, publicKey }: UserDataArgs): string => `#cloud-config
hostname: ${hostname}
preserve_hostname: false
manage_etc_hosts: false
ssh_deletekeys: true
ssh_keys:
  ed25519_private: |
${privateKey.trim().replace(/^/gm, "    ")}
  ed25519_public: ${publicKey.trim()}
`;
