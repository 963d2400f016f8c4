/** What cloud-init does at the first boot of a machine, and nothing more: its name, its SSH host key, and who may log in. */

export interface UserDataArgs {
  readonly hostname: string;
  /** ED25519 host key in OpenSSH format. The whole text is as secret as this key. */
  readonly privateKey: string;
  readonly publicKey: string;
  /** The public half of the stack's SSH key, in OpenSSH's one-line form. */
  readonly authorizedKey: string;
}

/**
 * Renders the user data. The installed key is the machine's only host key, so that an SSH client can verify the machine from
 * the first connection. Debian's images rewrite /etc/hosts at every boot by default; the bootstrap keeps names there.
 * https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh
 */
export const renderUserData = ({
  hostname,
  privateKey,
  publicKey,
  authorizedKey,
}: UserDataArgs): string => `#cloud-config
hostname: ${hostname}
preserve_hostname: false
manage_etc_hosts: false
ssh_deletekeys: true
ssh_keys:
  ed25519_private: |
${privateKey.trim().replace(/^/gm, "    ")}
  ed25519_public: ${publicKey.trim()}
ssh_authorized_keys: ["${authorizedKey.trim()}"]
`;
