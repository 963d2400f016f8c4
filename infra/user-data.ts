/** What cloud-init does at the first boot of a machine, and nothing more: set its name and install its SSH host key. */

export interface UserDataArgs {
  readonly hostname: string;
  /** ED25519 host key in OpenSSH format. The whole text is as secret as this key. */
  readonly privateKey: string;
  readonly publicKey: string;
}

/**
 * Renders the user data. The installed key is the machine's only host key, so that an SSH client can verify the machine from
 * the first connection. Debian's images rewrite /etc/hosts at every boot by default; the bootstrap keeps names there.
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
